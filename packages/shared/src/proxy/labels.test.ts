// Are all labels there, and honest about what is not known?

import assert from "node:assert/strict";
import { test } from "node:test";
import { aService, aWorkload } from "../state/fixtures.ts";
import { destinationLabels, SOURCE_LABELS, serviceLabels, sourceLabels } from "./labels.ts";

const workload = aWorkload("a-1", "10.0.0.1", { workloadName: "a", canonicalName: "app", canonicalRevision: "" });

test("a workload as source and as destination; what is empty is unknown", () => {
  const told = (party: string) => ({
    [`${party}_workload`]: "a",
    [`${party}_canonical_service`]: "app",
    [`${party}_canonical_revision`]: "unknown",
    [`${party}_workload_namespace`]: "ns",
    [`${party}_principal`]: "spiffe://cluster.local/ns/ns/sa/a",
    [`${party}_app`]: "app",
    [`${party}_version`]: "unknown",
    [`${party}_cluster`]: "Kubernetes",
  });
  assert.deepEqual(sourceLabels(workload, "spiffe://cluster.local/ns/ns/sa/a"), told("source"));
  assert.deepEqual(destinationLabels(workload, "spiffe://cluster.local/ns/ns/sa/a"), told("destination"));
});

test("nobody known: every label is there, and says so", () => {
  const all = { ...sourceLabels(undefined, undefined), ...destinationLabels(undefined, undefined), ...serviceLabels(undefined) };
  assert.deepEqual([...new Set(Object.values(all))], ["unknown"]);
  assert.deepEqual(Object.keys(sourceLabels(undefined, undefined)), [...SOURCE_LABELS]);
});

test("a service", () =>
  assert.deepEqual(serviceLabels(aService("s", "10.96.0.1")), {
    destination_service: "s.ns.svc.cluster.local",
    destination_service_namespace: "ns",
    destination_service_name: "s",
  }));
