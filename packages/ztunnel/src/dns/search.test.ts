// Whose search domains and nameservers are assumed: Istio's table search_domains, and the pod's own.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "@ambit/shared/state/fixtures.ts";
import { parseResolvConf } from "./resolv-conf.ts";
import { nameserversFor, searchDomains } from "./search.ts";

const OWN = {
  search: ["istio-system.svc.cluster.local", "svc.cluster.local", "cluster.local", "Rack7.example."],
  nameservers: [ip("10.96.0.10")],
};
const CLUSTER = ["default-ns.svc.cluster.local", "svc.cluster.local", "cluster.local"];
const search = (dns?: { policy: "ClusterFirst" | "Default" | "None"; searches: string[] }): readonly string[] =>
  searchDomains({ namespace: "default-ns", dns: dns === undefined ? undefined : { ...dns, nameservers: [] } }, "cluster.local", OWN);

test("search_domains", () => assert.deepEqual(search(), CLUSTER));

test("the pod's DNS policy and searches decide where they are known", () => {
  assert.deepEqual(search({ policy: "ClusterFirst", searches: ["Corp.Example.", ""] }), [...CLUSTER, "rack7.example", "corp.example"]);
  assert.deepEqual(search({ policy: "Default", searches: ["corp.example"] }), ["rack7.example", "corp.example"]);
  assert.deepEqual(search({ policy: "None", searches: ["corp.example", "corp.example"] }), ["corp.example"]);
  assert.deepEqual(search({ policy: "None", searches: [] }), []);
});

test("only a pod with nameservers of its own is sent to them", () => {
  const own = [ip("10.9.9.9")];
  assert.deepEqual(nameserversFor(undefined, OWN), OWN.nameservers);
  assert.deepEqual(nameserversFor({ policy: "None", searches: [], nameservers: own }, OWN), own);
  assert.deepEqual(nameserversFor({ policy: "None", searches: [], nameservers: [] }, OWN), OWN.nameservers);
  assert.deepEqual(nameserversFor({ policy: "ClusterFirst", searches: [], nameservers: own }, OWN), OWN.nameservers);
});

test("a resolv.conf is read as the C library reads it", () => {
  const text = `# made by hand
domain ignored.example
search a.example  b.example
nameserver 10.0.0.1 ; first
nameserver fe80::1%eth0
nameserver not-an-address
nameserver 10.0.0.3
nameserver 10.0.0.4
options ndots:5 timeout:2`;
  assert.deepEqual(parseResolvConf(text), {
    nameservers: [ip("10.0.0.1"), ip("fe80::1"), ip("10.0.0.3")],
    search: ["a.example", "b.example"],
    ignored: ["nameserver not-an-address"],
  });
  assert.deepEqual(parseResolvConf(""), { nameservers: [], search: [], ignored: [] });
});
