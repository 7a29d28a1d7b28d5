// Which pods are announced with how they resolve names?
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PodSpec } from "@ambit/shared/kube/objects/pod.ts";
import { podDns } from "./dns.ts";

const of = (spec: Partial<PodSpec>) =>
  podDns({ apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec: { containers: [], ...spec } });

test("a usual pod says nothing", () => {
  assert.deepEqual(of({}), {});
  assert.deepEqual(of({ dnsPolicy: "ClusterFirst", dnsConfig: { options: [{ name: "ndots", value: "2" }] } }), {});
  assert.deepEqual(of({ dnsPolicy: "ClusterFirstWithHostNet" }), {});
});

test("search domains, another policy and nameservers of its own are told", () => {
  assert.deepEqual(of({ dnsConfig: { searches: ["corp.example"] } }), {
    dns: { policy: "ClusterFirst", searches: ["corp.example"], nameservers: [] },
  });
  assert.deepEqual(of({ dnsPolicy: "Default" }), { dns: { policy: "Default", searches: [], nameservers: [] } });
  const own = { nameservers: ["10.0.0.53", "FD00::0053"], searches: ["a.example"] };
  assert.deepEqual(of({ dnsPolicy: "None", dnsConfig: own }), {
    dns: { policy: "None", searches: ["a.example"], nameservers: ["10.0.0.53", "fd00::53"] },
  });
});
