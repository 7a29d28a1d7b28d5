// What the mesh answers to a name: Istio's table "lookup" (dns/server.rs), case by case, and what Ambit adds.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CLIENT, istioMesh, RULES } from "./fixture.ts";
import { type NameAnswer, type NameRules, resolveName, shuffled } from "./resolve.ts";

const { view } = istioMesh();
const ask = (name: string, family: "ipv4" | "ipv6" = "ipv4", rules: Partial<NameRules> = {}, asker = CLIENT): NameAnswer =>
  resolveName(view, { name, family }, asker, { ...RULES, ...rules });

/** The addresses, after the canonical name where there is one; "forward" or why there is no data. */
const told = (a: NameAnswer): string[] => {
  if (a.kind === "forward") return ["forward"];
  if (a.kind === "no-data") return [a.why];
  return [...(a.canonical === undefined ? [] : [`CNAME ${a.canonical}`]), ...a.addresses];
};

type Case = { name: string; host: string; family?: "ipv6"; told: string[] };
const lookup: Case[] = [
  { name: "success: non k8s host in local cache", host: "www.google.com", told: ["1.1.1.1"] },
  {
    name: "success: non k8s host with search namespace yields cname+A record",
    host: "www.google.com.ns1.svc.cluster.local",
    told: ["CNAME www.google.com", "1.1.1.1"],
  },
  { name: "success: non k8s host not in local cache", host: "www.bing.com", told: ["forward"] },
  { name: "success: k8s host - fqdn", host: "productpage.ns1.svc.cluster.local", told: ["9.9.9.9"] },
  { name: "success: k8s host - name.namespace", host: "productpage.ns1", told: ["9.9.9.9"] },
  { name: "success: k8s host - shortname", host: "productpage", told: ["9.9.9.9"] },
  {
    name: "success: k8s host (name.namespace) with search namespace yields cname+A record",
    host: "productpage.ns1.ns1.svc.cluster.local",
    told: ["CNAME productpage.ns1", "9.9.9.9"],
  },
  {
    name: "success: AAAA query for IPv4 k8s host (name.namespace) with search namespace",
    host: "productpage.ns1.ns1.svc.cluster.local",
    family: "ipv6",
    told: ["no-address"],
  },
  { name: "success: k8s host - non local namespace - name.namespace", host: "example.ns2", told: ["10.10.10.10"] },
  { name: "success: k8s host - non local namespace - fqdn", host: "example.ns2.svc.cluster.local", told: ["10.10.10.10"] },
  { name: "success: k8s host - non local namespace - name.namespace.svc", host: "example.ns2.svc", told: ["10.10.10.10"] },
  { name: "failure: k8s host - non local namespace - shortname", host: "example", told: ["forward"] },
  {
    name: "success: remote cluster k8s svc - same ns and different domain - fqdn",
    host: "details.ns2.svc.cluster.remote",
    told: ["11.11.11.11", "12.12.12.12", "13.13.13.13", "14.14.14.14"],
  },
  {
    name: "failure: remote cluster k8s svc - same ns and different domain - name.namespace",
    host: "details.ns2",
    told: ["forward"],
  },
  { name: "success: TypeA query returns A records only", host: "dual.localhost", told: ["2.2.2.2"] },
  { name: "success: TypeAAAA query returns AAAA records only", host: "dual.localhost", family: "ipv6", told: ["2001:db8::ff00:42:8329"] },
  { name: "success: Error response if only AAAA records exist for typeA", host: "ipv6.localhost", told: ["no-address"] },
  { name: "success: Error response if only A records exist for typeAAAA", host: "ipv4.localhost", family: "ipv6", told: ["no-address"] },
  { name: "success: wild card returns A record correctly", host: "foo.wildcard", told: ["10.10.10.10"] },
  { name: "success: specific wild card returns A record correctly", host: "a.b.wildcard", told: ["11.11.11.11"] },
  { name: "success: wild card with domain returns A record correctly", host: "foo.svc.mesh.company.net", told: ["10.1.2.3"] },
  {
    name: "success: wild card with namespace with domain returns A record correctly",
    host: "foo.foons.svc.mesh.company.net",
    told: ["10.1.2.3"],
  },
  {
    name: "success: wild card with search domain returns A record correctly",
    host: "foo.svc.mesh.company.net.ns1.svc.cluster.local",
    told: ["10.1.2.3"],
  },
  { name: "success: no vip on client network returns no records", host: "nw2-only.ns1.svc.cluster.local", told: ["no-address"] },
  { name: "success: return vip for client network only", host: "both-networks.ns1.svc.cluster.local", told: ["21.21.21.21"] },
  {
    name: "success: headless service returns workload ips for A",
    host: "headless.ns1.svc.cluster.local",
    told: ["30.30.30.30", "31.31.31.31"],
  },
  {
    name: "success: headless service returns workload ips for AAAA",
    host: "headless.ns1.svc.cluster.local",
    family: "ipv6",
    told: ["2001:db8::30", "2001:db8::31"],
  },
  {
    name: "success: headless-ipv6 service returns records for AAAA",
    host: "headless-ipv6.ns1.svc.cluster.local",
    family: "ipv6",
    told: ["2001:db8::33"],
  },
  { name: "success: headless-ipv6 service returns empty for A", host: "headless-ipv6.ns1.svc.cluster.local", told: ["family-not-served"] },
  { name: "failure: headless external without IPs", host: "headless-no-endpoints.example.com", told: ["forward"] },
  { name: "failure: headless external", host: "headless.example.com", told: ["forward"] },
  { name: "success: preferred namespace is chosen if local namespace is not defined", host: "preferred.io", told: ["10.10.10.211"] },
  { name: "success: external service resolves to local namespace's address", host: "everywhere.io", told: ["10.10.10.112"] },
  {
    name: "success: canonical services are preferred when no ns-local hostname is present",
    host: "canonical.svc",
    told: ["10.10.10.141"],
  },
  { name: "success: namespace-local service should be preferred over canonical", host: "canonical.with.local", told: ["10.10.10.150"] },
];
for (const c of lookup) test(`lookup: ${c.name}`, () => assert.deepEqual(told(ask(c.host, c.family)), c.told));

const ours: Case[] = [
  { name: "a pod of a headless service by its full name", host: "pod-0.headless.ns1.svc.cluster.local", told: ["30.30.30.30"] },
  { name: "the same over IPv6", host: "pod-0.headless.ns1.svc.cluster.local", family: "ipv6", told: ["2001:db8::30"] },
  { name: "a pod by name.service.namespace", host: "pod-0.headless.ns1", told: ["30.30.30.30"] },
  { name: "a pod by name.service in its own namespace", host: "pod-0.headless", told: ["30.30.30.30"] },
  {
    name: "a pod by name.service, after the resolver appended the namespace",
    host: "pod-0.headless.ns1.svc.cluster.local",
    told: ["30.30.30.30"],
  },
  { name: "a pod that has a host name of its own answers to it", host: "named.headless.ns1.svc.cluster.local", told: ["31.31.31.31"] },
  { name: "a pod that is not ready has no name", host: "sick.headless.ns1.svc.cluster.local", told: ["forward"] },
  {
    name: "a pod that is not ready has one where the service publishes it",
    host: "starting.all.ns1.svc.cluster.local",
    told: ["36.36.36.36"],
  },
  { name: "a pod on another network cannot be dialled by address", host: "far.headless.ns1.svc.cluster.local", told: ["forward"] },
  { name: "a pod of a service with a VIP has no name", host: "pod-0.productpage.ns1.svc.cluster.local", told: ["forward"] },
  { name: "a headless service without ready endpoints is ours, and empty", host: "empty.ns1.svc.cluster.local", told: ["no-address"] },
  { name: "what another namespace keeps to itself is not known here", host: "secret.io", told: ["forward"] },
  { name: "what our own namespace keeps to itself is", host: "private.io", told: ["10.10.10.201"] },
  { name: "the root", host: "", told: ["forward"] },
];
for (const c of ours) test(c.name, () => assert.deepEqual(told(ask(c.host, c.family)), c.told));

test("namespace_visibility_host: the hidden service does not stand before a visible one", () => {
  const outsider = { ...CLIENT, namespace: "ns9" };
  assert.deepEqual(told(ask("private.io", "ipv4", {}, outsider)), ["forward"]);
});

test("with IPv6 off nobody is told of an IPv6 address, nor sent to ask elsewhere", () => {
  assert.deepEqual(told(ask("dual.localhost", "ipv6", { ipv6: false })), ["family-not-served"]);
  assert.deepEqual(told(ask("dual.localhost", "ipv4", { ipv6: false })), ["2.2.2.2"]);
});

test("a pod with search domains of its own has these taken off, and only these", () => {
  const search = ["corp.example"];
  assert.deepEqual(told(ask("www.google.com.corp.example", "ipv4", { search })), ["CNAME www.google.com", "1.1.1.1"]);
  assert.deepEqual(told(ask("www.google.com.ns1.svc.cluster.local", "ipv4", { search })), ["forward"]);
  assert.deepEqual(told(ask("productpage.corp.example", "ipv4", { search })), ["forward"], "an outside host, not our neighbour");
});

test("shuffled: the same items, and each can come first", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer(), { maxLength: 20 }),
      fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
      (items, stream) => {
        const out = shuffled(items, () => stream.next().value ?? 0);
        assert.deepEqual(out.toSorted(), [...items].toSorted());
      },
    ),
  );
  const firsts = new Set([0, 0.4, 0.8].map((r) => shuffled(["a", "b", "c"], () => r)[0]));
  assert.deepEqual(firsts, new Set(["a", "b", "c"]));
});
