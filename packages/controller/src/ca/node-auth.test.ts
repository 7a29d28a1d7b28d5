// Who may have a certificate for whom? (istio's TestSingleClusterNodeAuthorization, TestCreateCertificateE2EWithImpersonateIdentity)

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { pod } from "../model/test/fixtures.ts";
import type { Caller } from "../tokens/identity.ts";
import { authorizeIdentity, nodeIdentityKey, type PodView } from "./node-auth.ts";

const ztunnel = pod("istio-system", "ztunnel-1", { sa: "ztunnel", node: "node1", ip: "10.244.1.2" });
const pods: readonly Pod[] = [
  ztunnel,
  pod("shop", "web-1", { sa: "web", node: "node1" }),
  pod("shop", "cart-1", { sa: "cart", node: "node2" }),
  pod("shop", "done-1", { sa: "done", node: "node1", phase: "Failed" }),
  pod("shop", "ended-1", { sa: "ended", node: "node1", phase: "Succeeded" }),
];
const view = (list: readonly Pod[] = pods): PodView => ({
  pod: (key) => list.find((p) => `${p.metadata.namespace}/${p.metadata.name}` === key),
  podsOn: (node, who) => list.filter((p) => nodeIdentityKey(p) === `${node}|${who.namespace}|${who.serviceAccount}`),
});
const settings = { trustDomain: "cluster.local", trustedNodeAccounts: ["istio-system/ztunnel"] };
const agent: Caller = {
  namespace: "istio-system",
  serviceAccount: "ztunnel",
  pod: { name: "ztunnel-1", uid: "uid-istio-system-ztunnel-1" },
};
const id = (ns: string, sa: string, td = "cluster.local") => `spiffe://${td}/ns/${ns}/sa/${sa}`;

const cases: readonly {
  readonly name: string;
  readonly caller?: Caller;
  readonly impersonated?: string;
  readonly pods?: readonly Pod[];
  readonly expect: string | RegExp;
}[] = [
  { name: "own identity", caller: { namespace: "shop", serviceAccount: "wp", pod: undefined }, expect: id("shop", "wp") },
  { name: "a pod on the caller's node", impersonated: id("shop", "web"), expect: id("shop", "web") },
  { name: "a pod on another node", impersonated: id("shop", "cart"), expect: /no pod that runs as shop\/cart is on node node1/ },
  { name: "no such pod", impersonated: id("shop", "nobody"), expect: /no pod that runs as/ },
  { name: "only a failed pod", impersonated: id("shop", "done"), expect: /no pod that runs as/ },
  { name: "a pod that has ended well may still be draining", impersonated: id("shop", "ended"), expect: id("shop", "ended") },
  { name: "another trust domain", impersonated: id("shop", "web", "evil.example"), expect: /another trust domain/ },
  { name: "not an identity", impersonated: "spiffe://cluster.local/web", expect: /is not a SPIFFE id/ },
  {
    name: "an untrusted account",
    caller: { namespace: "shop", serviceAccount: "web", pod: { name: "web-1", uid: "uid-shop-web-1" } },
    impersonated: id("shop", "web"),
    expect: /shop\/web may not ask for other identities/,
  },
  {
    name: "a ztunnel of another namespace",
    caller: { ...agent, namespace: "shop" },
    impersonated: id("shop", "web"),
    expect: /may not ask for other identities/,
  },
  {
    name: "a token that is not bound to a pod",
    caller: { ...agent, pod: undefined },
    impersonated: id("shop", "web"),
    expect: /not bound to a pod/,
  },
  {
    name: "a pod that was replaced",
    caller: { ...agent, pod: { name: "ztunnel-1", uid: "older" } },
    impersonated: id("shop", "web"),
    expect: /with uid older does not exist/,
  },
  {
    name: "a pod that is gone",
    caller: { ...agent, pod: { name: "ztunnel-9", uid: "x" } },
    impersonated: id("shop", "web"),
    expect: /does not exist/,
  },
  {
    name: "a pod under that name with another account",
    impersonated: id("shop", "web"),
    pods: [{ ...ztunnel, spec: { ...ztunnel.spec, serviceAccountName: "other" } }],
    expect: /does not run as/,
  },
  {
    name: "a pod that is not scheduled",
    impersonated: id("shop", "web"),
    pods: [{ ...ztunnel, spec: { ...ztunnel.spec, nodeName: "" } }],
    expect: /is on no node/,
  },
];
for (const c of cases)
  test(`node authorization: ${c.name}`, () => {
    const r = authorizeIdentity({ caller: c.caller ?? agent, impersonated: c.impersonated }, view(c.pods), settings);
    if (typeof c.expect === "string") assert.equal(r.ok ? r.value.uri : r.error, c.expect);
    else assert.match(r.ok ? `granted ${r.value.uri}` : r.error, c.expect);
  });
