// Which backend takes an opaque connection, case by case?
import assert from "node:assert/strict";
import { test } from "node:test";
import type { WeightedBackend } from "@ambit/shared/route/types.ts";
import { aPort, owned, toService } from "../test/rig.ts";
import { planTcp } from "./plan.ts";

const invalid = (weight: number): WeightedBackend => ({ weight, target: { kind: "invalid", reason: "it does not exist" }, filters: [] });
const said = (tcpBackends: readonly WeightedBackend[], random: number): string => {
  const plan = planTcp(owned(), aPort({ port: 5432, protocol: "TCP", tcpBackends }), random);
  return plan.kind === "forward" ? `${plan.backend.hostname}:${plan.backend.port}` : `${plan.code}: ${plan.detail}`;
};
const host = (name: string): string => `${name}.shop.svc.cluster.local:80`;

const nothing = "INVALID_BACKEND: the route has no backend with a weight above 0";
const cases: readonly [name: string, backends: readonly WeightedBackend[], random: number, want: string][] = [
  ["no route: the service itself, at the port that was asked for", [], 0.5, "reviews.shop.svc.cluster.local:5432"],
  ["one backend takes all", [toService("v1")], 0.99, host("v1")],
  ["weights are shares: the first", [toService("v1", 3), toService("v2", 1)], 0.74, host("v1")],
  ["weights are shares: the second", [toService("v1", 3), toService("v2", 1)], 0.75, host("v2")],
  ["weight 0 takes nothing, wherever it stands", [toService("v1", 0), toService("v2", 1), toService("v3", 0)], 0, host("v2")],
  ["weight 0 takes nothing at the very end either", [toService("v1", 1), toService("v2", 0)], 0.999999, host("v1")],
  ["no weight at all refuses", [toService("v1", 0)], 0, nothing],
  ["an invalid backend's share is refused", [toService("v1", 1), invalid(1)], 0.5, "INVALID_BACKEND: it does not exist"],
  ["… and only its share", [toService("v1", 1), invalid(1)], 0.49, host("v1")],
  ["an invalid backend without weight refuses nobody", [toService("v1", 1), invalid(0)], 0.99, host("v1")],
];
for (const [name, backends, random, want] of cases) test(name, () => assert.equal(said(backends, random), want));
