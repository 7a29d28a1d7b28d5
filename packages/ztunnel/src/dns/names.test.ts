// Which names a host may be known under: Istio's tables to_kube_fqdns and get_wildcards, and what is taken off.
import assert from "node:assert/strict";
import { test } from "node:test";
import { aliases, kubeNames, wildcards } from "./names.ts";

const SCOPE = { namespace: "ns1", clusterDomain: "cluster.local" };

test("to_kube_fqdns", () => {
  const cases: Record<string, [string, boolean][]> = {
    name: [["name.ns1.svc.cluster.local", false]],
    "name.ns2": [
      ["name.ns2.svc.cluster.local", false],
      ["name.ns2.ns1.svc.cluster.local", true],
    ],
    "name.ns2.svc": [
      ["name.ns2.svc.cluster.local", false],
      ["name.ns2.svc.svc.cluster.local", true],
    ],
    "name.ns2.not-svc": [["name.ns2.not-svc.svc.cluster.local", true]],
    "pod.sub-domain.ns.svc": [["pod.sub-domain.ns.svc.cluster.local", true]],
    "pod.sub-domain.ns.not-svc": [],
    "name.ns2.svc.cluster": [],
    "name.ns2.svc.cluster.local": [],
    "www.google.com": [["www.google.com.svc.cluster.local", true]],
  };
  for (const [name, expected] of Object.entries(cases))
    assert.deepEqual(
      kubeNames(name, SCOPE).map((k) => [k.name, k.podHost]),
      expected,
      name,
    );
});

test("get_wildcards", () => {
  assert.deepEqual(wildcards("svc1"), ["svc1"]);
  assert.deepEqual(wildcards("svc1.ns1.svc.cluster.local"), [
    "svc1.ns1.svc.cluster.local",
    "*.ns1.svc.cluster.local",
    "*.svc.cluster.local",
    "*.cluster.local",
    "*.local",
  ]);
});

test("search domains are taken off, the rest is read as a short name, each name is tried once", () => {
  const search = ["ns1.svc.cluster.local", "svc.cluster.local", "cluster.local"];
  const found = aliases("web.ns2.ns1.svc.cluster.local", { ...SCOPE, search });
  assert.deepEqual(
    found.map((a) => [a.name, a.stripped, a.podHost]),
    [
      ["web.ns2.ns1.svc.cluster.local", undefined, true],
      ["web.ns2", "web.ns2", false],
      ["web.ns2.svc.cluster.local", "web.ns2", false],
      ["web.ns2.ns1", "web.ns2.ns1", false],
      ["web.ns2.ns1.svc", "web.ns2.ns1.svc", false],
    ],
  );
});

test("after a domain outside the cluster only the bare rest is tried: an outside host is never taken for a neighbour", () => {
  const found = aliases("db.corp.example", { ...SCOPE, search: ["corp.example"] });
  assert.deepEqual(
    found.map((a) => a.name),
    ["db.corp.example", "db.corp.example.svc.cluster.local", "db"],
  );
});

test("a pod's name has as many labels as the cluster's domain makes it have", () => {
  const podHost = (name: string, clusterDomain: string): boolean | undefined =>
    aliases(name, { namespace: "ns1", clusterDomain, search: [] })[0]?.podHost;
  assert.equal(podHost("pod-0.db.ns1.svc.cluster.local", "cluster.local"), true);
  assert.equal(podHost("pod-0.db.ns1.svc.k8s.corp.example", "k8s.corp.example"), true);
  assert.equal(podHost("pod-0.db.ns1.svc.corp", "corp"), true);
  assert.equal(podHost("db.ns1.svc.cluster.local", "cluster.local"), false);
  assert.equal(podHost("a.b.c.d.example.com", "cluster.local"), false);
});
