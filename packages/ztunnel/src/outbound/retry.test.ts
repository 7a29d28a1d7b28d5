// Which failures send a connection to another endpoint, and with how much time.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshErrorCode } from "@ambit/shared/errors/codes.ts";
import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { Exclusion } from "@ambit/shared/state/balance.ts";
import { aWorkload } from "@ambit/shared/state/fixtures.ts";
import { attemptMs, endpointFailure, hasAlternative } from "./retry.ts";
import { NOTHING, type OutboundPlan } from "./types.ts";

const failures: readonly [MeshErrorCode, number | undefined, ReturnType<typeof endpointFailure>][] = [
  ["CONNECT", undefined, "failed"],
  ["CONNECT_TIMEOUT", undefined, "failed"],
  ["TLS", undefined, "failed"],
  ["H2_HANDSHAKE", undefined, "failed"],
  ["CERT_REVOKED", undefined, "failed"],
  ["HTTP_STATUS", 503, "failed"],
  ["ELSEWHERE", 503, "declined"],
  // Decisions of the destination: another endpoint would be a way around them.
  ["HTTP_STATUS", 401, undefined],
  ["HTTP_STATUS", 400, undefined],
  ["HTTP_STATUS", 404, undefined],
  // Not the endpoint's doing.
  ["IDENTITY", undefined, undefined],
  ["DRAINED", undefined, undefined],
  ["CLIENT_GONE", undefined, undefined],
  ["NO_HEALTHY_UPSTREAM", undefined, undefined],
];
for (const [code, status, expect] of failures)
  test(`endpointFailure: ${code}${status === undefined ? "" : ` ${status}`} → ${expect ?? "not tried elsewhere"}`, () =>
    assert.equal(endpointFailure(new MeshError(code, "x", undefined, status === undefined ? {} : { status })), expect));

const first = aWorkload("first", "10.0.0.1");
const second = aWorkload("second", "10.0.0.2");
const plan = (excluded: Exclusion | undefined): OutboundPlan => ({
  ...NOTHING,
  kind: "tcp",
  to: { ip: first.addresses[0] ?? ("10.0.0.1" as never), port: 80 },
  why: "no-tunnel",
  workload: first,
  candidates: [
    { workload: first, port: 80, rank: 0, excluded: undefined },
    { workload: second, port: 80, rank: 0, excluded },
  ],
});
const others: readonly [Exclusion | undefined, boolean][] = [
  [undefined, true],
  ["farther-locality", true],
  ["ejected", true],
  ["already-tried", false],
  ["strict-locality", false],
  ["unhealthy", false],
  ["port-not-served", false],
];
for (const [excluded, expect] of others)
  test(`hasAlternative: the other one ${excluded ?? "eligible"} → ${expect}`, () => assert.equal(hasAlternative(plan(excluded)), expect));

test("attemptMs: short while others are left, all the time a dial has for the last", () => {
  assert.deepEqual([attemptMs(0, true), attemptMs(1, true), attemptMs(2, true), attemptMs(0, false)], [2_000, 3_000, undefined, undefined]);
});
