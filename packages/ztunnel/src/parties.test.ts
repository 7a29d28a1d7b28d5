// Are connections with the same labels told by the same key, and others by another?

import assert from "node:assert/strict";
import { test } from "node:test";
import { aService, aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import { identityOf, type Workload } from "@ambit/shared/state/types.ts";
import fc from "fast-check";
import { createParties } from "./parties.ts";
import { type Traffic, trafficKey, trafficLabels } from "./traffic.ts";

const traffic = (source: Workload | undefined, destination: Workload | undefined, over: Partial<Traffic> = {}): Traffic => ({
  reporter: "source",
  source: { addr: { ip: ip("10.0.0.1"), port: 1 }, workload: source, identity: source && identityOf(source) },
  destination: {
    addr: { ip: ip("10.0.0.2"), port: 2 },
    hboneAddr: undefined,
    workload: destination,
    identity: destination && identityOf(destination),
    service: aService("s", "10.96.0.1"),
  },
  secured: true,
  ...over,
});

const deployed = (pod: string, over: Partial<Workload> = {}): Workload =>
  aWorkload(pod, "10.0.0.1", { workloadName: "shop", canonicalName: "shop", ...over });

test("two pods of one deployment have the same labels and so the same key, and each its own fields in the log", () => {
  const parties = createParties();
  const [a, b] = [deployed("shop-a"), deployed("shop-b")];
  assert.equal(trafficKey(traffic(a, b), parties, "-"), trafficKey(traffic(b, a), parties, "-"));
  assert.match(parties.source(a, undefined).log.text, /src\.workload="shop-a"/);
  assert.match(parties.destination(b, identityOf(b)).log.text, /dst\.workload="shop-b" .*dst\.identity="spiffe:/);
});

test("a workload that changes is told of as it is now", () => {
  const parties = createParties();
  const before = deployed("shop-a");
  const after = { ...before, canonicalRevision: "v2" };
  assert.notEqual(trafficKey(traffic(before, before), parties, "-"), trafficKey(traffic(after, before), parties, "-"));
});

test("keys are equal exactly where labels are", () => {
  const parties = createParties();
  const workloads = [
    undefined,
    deployed("a"),
    deployed("b"),
    deployed("c", { canonicalRevision: "v2" }),
    deployed("d", { serviceAccount: "other" }),
    deployed("e", { locality: { region: "r", zone: "z", subzone: "" } }),
  ];
  const any = fc.constantFrom(...workloads);
  const anyTraffic = fc
    .tuple(any, any, fc.boolean(), fc.constantFrom("source" as const, "destination" as const), fc.constantFrom("-", "DENY"))
    .map(([s, d, secured, reporter, flags]) => ({ traffic: traffic(s, d, { secured, reporter }), flags }));
  fc.assert(
    fc.property(anyTraffic, anyTraffic, (one, two) => {
      const key = (x: typeof one): string => trafficKey(x.traffic, parties, x.flags);
      const labels = (x: typeof one): string => JSON.stringify(trafficLabels(x.traffic, x.flags));
      assert.equal(key(one) === key(two), labels(one) === labels(two));
    }),
  );
});
