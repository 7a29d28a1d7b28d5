// Does explain tell what would happen to a request, and why?

import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_MATCH } from "@ambit/shared/authz/types.ts";
import type { WaypointService } from "@ambit/shared/route/types.ts";
import { aService, aPort as aServicePort, aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import { createMeshStore } from "@ambit/shared/state/store.ts";
import { createPatterns } from "../route/regex.ts";
import { createOwnedStore } from "../state/owned.ts";
import { aPort, aRule, CLIENT, KEY, owned, policy, toService, VIP } from "../test/rig.ts";
import { explain, type Question } from "./explain.ts";

const ask = (service: Partial<WaypointService>, q: Partial<Question> = {}) => {
  const patterns = createPatterns();
  const services = createOwnedStore(patterns, () => 0);
  services.commit([owned(service)], []);
  const store = createMeshStore();
  store.commit([
    { kind: "service", service: aService("reviews", VIP, { namespace: "shop" }) },
    {
      kind: "workload",
      workload: aWorkload("reviews-1", "10.244.1.5", {
        namespace: "shop",
        serviceAccount: "reviews",
        services: { [KEY]: [aServicePort(80, 8080)] },
      }),
    },
  ]);
  const question = {
    authority: { ip: VIP, port: 80 },
    source: CLIENT,
    sourceIp: ip("10.244.1.7"),
    method: "GET",
    path: "/",
    host: undefined,
    headers: [],
    ...q,
  };
  return explain(question, {
    self: { namespace: "shop", gateway: "waypoint", clusterDomain: "cluster.local", network: "" },
    owned: services,
    view: store.view,
    origin: () => ({ network: "", node: "node1", clusterId: "Kubernetes", locality: { region: "", zone: "", subzone: "" } }),
    regex: patterns.matcher,
    random: () => 0,
    hbonePort: 15008,
  });
};

test("plain forwarding: endpoint, tunnel and the identity that must answer", () => {
  const e = ask({});
  assert.deepEqual(
    [e.service, e.protocol, e.chosen, e.endpoint?.name, e.endpointPort, e.via, e.expect],
    [
      KEY,
      "HTTP",
      "no route is attached: plain forwarding",
      "reviews-1",
      8080,
      "10.244.1.5:15008",
      ["spiffe://cluster.local/ns/shop/sa/reviews"],
    ],
  );
  assert.equal(e.status, undefined);
});

test("the rule chosen, why not the others, and the shares of its backends", () => {
  const match = { path: { type: "exact" as const, value: "/v2" }, method: undefined, headers: [], queryParams: [] };
  const rules = [aRule({ rule: "first", match }), aRule({ rule: "second", backends: [toService("reviews", 90), toService("v2", 10)] })];
  const e = ask({ ports: [aPort({ rules })] });
  assert.deepEqual(e.rules, [
    { route: "HTTPRoute/shop/reviews", rule: "first", matched: false, why: "does not match: path exact /v2" },
    { route: "HTTPRoute/shop/reviews", rule: "second", matched: true, why: "the first rule that matches" },
  ]);
  assert.deepEqual([e.chosen, e.backends.map((b) => b.share)], ["HTTPRoute/shop/reviews second", ["90%", "10%"]]);
});

test("a denied request names policy and rule; nothing matched is 404; no endpoint is 503; not ours is told", () => {
  const rules = [{ clauses: [{ matches: [{ ...EMPTY_MATCH, methods: [{ kind: "exact" as const, value: "DELETE" }] }] }] }];
  const denied = ask({ policies: [policy({ name: "no-delete", rules })] }, { method: "DELETE" });
  assert.deepEqual([denied.status, denied.text], [403, "answered 403: explicitly denied by: shop/no-delete (rule 0)"]);
  assert.deepEqual(denied.verdict?.policies, [{ policy: "shop/no-delete", action: "DENY", dryRun: false, rule: 0, rules: 1 }]);
  const missed = aRule({ match: { path: { type: "exact", value: "/only" }, method: undefined, headers: [], queryParams: [] } });
  assert.equal(ask({ ports: [aPort({ rules: [missed] })] }).status, 404);
  assert.equal(ask({ ports: [aPort({ rules: [aRule({ backends: [toService("gone")] })] })] }).status, 503);
  assert.equal(ask({}, { authority: { ip: VIP, port: 99 } }).text, `the CONNECT is refused with 404: the service ${KEY} has no port 99`);
});

test("an opaque port is explained by what an opaque connection is asked", () => {
  const e = ask({ ports: [aPort({ protocol: "TCP" })], policies: [policy({ action: "ALLOW", rules: [] })] });
  assert.deepEqual([e.protocol, e.verdict?.allowed, e.text], ["TCP", false, "closed: allow policies exist, but none allowed: shop/p"]);
});
