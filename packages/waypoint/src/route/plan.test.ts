// Is a request planned by the first rule that matches it?

import assert from "node:assert/strict";
import { test } from "node:test";
import { aPort, aRule, owned, toService } from "../test/rig.ts";
import { type PlanInput, planRequest } from "./plan.ts";
import { createPatterns } from "./regex.ts";

const input = (port: PlanInput["port"], random = 0): PlanInput => ({
  service: owned(),
  port,
  request: {
    method: "GET",
    scheme: "http",
    authority: "reviews",
    path: { path: "/x", query: undefined },
    headers: [],
    header: () => undefined,
  },
  context: { callerNamespace: "shop", regex: createPatterns().matcher },
  random,
});

test("without routes the service itself is the backend, with the default retries", () => {
  const { plan } = planRequest(input(aPort()));
  assert.equal(plan.kind, "forward");
  if (plan.kind !== "forward") return;
  assert.deepEqual(plan.backend, { kind: "service", namespace: "shop", hostname: "reviews.shop.svc.cluster.local", port: 80 });
  assert.equal(plan.retry.attempts, 2);
});

test("the invalid backend's share fails, the other's passes", () => {
  const port = aPort({
    rules: [aRule({ backends: [toService("v1", 1), { weight: 1, target: { kind: "invalid", reason: "no such service" }, filters: [] }] })],
  });
  assert.equal(planRequest(input(port, 0.2)).plan.kind, "forward");
  const { plan } = planRequest(input(port, 0.7));
  assert.deepEqual(plan.kind === "fail" && [plan.code, plan.detail], [
    "INVALID_BACKEND",
    "HTTPRoute/shop/reviews names a backend that cannot be used: no such service",
  ]);
});

test("a backend's own filters come after the rule's", () => {
  const set = (value: string) => ({ kind: "request-headers" as const, edits: { set: [{ name: "x", value }], add: [], remove: [] } });
  const port = aPort({ rules: [aRule({ filters: [set("rule")], backends: [{ ...toService("v1"), filters: [set("backend")] }] })] });
  const { plan } = planRequest(input(port));
  assert.deepEqual(plan.kind === "forward" && plan.request.headers, [["x", "backend"]]);
});

test("a redirect needs no backend", () => {
  const redirect = { kind: "redirect" as const, scheme: "https", hostname: undefined, port: undefined, path: undefined, status: 301 };
  const { plan } = planRequest(input(aPort({ rules: [aRule({ filters: [redirect], backends: [] })] })));
  assert.deepEqual(plan.kind === "redirect" && [plan.status, plan.location], [301, "https://reviews/x"]);
});
