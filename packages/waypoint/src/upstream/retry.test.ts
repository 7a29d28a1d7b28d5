// Is exactly that tried again which may be?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { MeshErrorCode } from "@ambit/shared/errors/codes.ts";
import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import { DEFAULT_RETRY } from "@ambit/shared/route/types.ts";
import { emptyBody } from "../http/message.ts";
import type { Outcome } from "./outcome.ts";
import { decideRetry, type RetryQuestion } from "./retry.ts";

const failed = (code: MeshErrorCode, processed: "no" | "maybe", reused = false): Outcome => ({
  kind: "failed",
  error: new MeshError(code, "x"),
  processed,
  reused,
});
const answered = (status: number): Outcome => ({ kind: "response", response: { status, headers: [], body: emptyBody } });
const ask = (over: Partial<RetryQuestion>): string =>
  decideRetry({
    outcome: failed("CONNECT", "no"),
    made: 1,
    policy: DEFAULT_RETRY,
    method: "GET",
    replayable: true,
    staleBefore: false,
    ...over,
  }).kind;

test("what is tried again", () => {
  const withCodes = { attempts: 2, codes: [503], backoffMs: 1 };
  const table: [Partial<RetryQuestion>, string][] = [
    [{}, "again"],
    [{ made: 2 }, "again"],
    [{ made: 3 }, "give-up"],
    [{ policy: { ...DEFAULT_RETRY, attempts: 0 } }, "give-up"],
    [{ replayable: false }, "give-up"],
    [{ method: "POST" }, "again"],
    [{ outcome: failed("UPSTREAM_RESET", "maybe") }, "again"],
    [{ outcome: failed("UPSTREAM_RESET", "maybe"), method: "POST" }, "give-up"],
    [{ outcome: failed("UPSTREAM_RESET", "no"), method: "POST" }, "again"],
    [{ outcome: failed("UPSTREAM_RESET", "maybe", true) }, "again-fresh"],
    [{ outcome: failed("UPSTREAM_RESET", "maybe", true), made: 9 }, "again-fresh"],
    [{ outcome: failed("UPSTREAM_RESET", "maybe", true), staleBefore: true, made: 9 }, "give-up"],
    [{ outcome: failed("UPSTREAM_RESET", "maybe", true), method: "POST" }, "give-up"],
    [{ outcome: failed("UPSTREAM_TIMEOUT", "maybe"), method: "POST" }, "give-up"],
    [{ outcome: failed("UPSTREAM_TIMEOUT", "maybe"), method: "POST", policy: withCodes }, "give-up"],
    [{ outcome: failed("UPSTREAM_TIMEOUT", "maybe"), policy: withCodes }, "again"],
    [{ outcome: failed("UPSTREAM_RESET", "maybe"), method: "POST", policy: withCodes }, "give-up"],
    [{ outcome: failed("UPSTREAM_RESET", "maybe", true), method: "PATCH", policy: withCodes }, "give-up"],
    [{ outcome: failed("CONNECT", "no"), method: "POST", policy: withCodes }, "again"],
    [{ outcome: failed("CLIENT_GONE", "no") }, "give-up"],
    [{ outcome: failed("UPSTREAM_PROTOCOL", "maybe") }, "give-up"],
    [{ outcome: failed("NO_HEALTHY_UPSTREAM", "no") }, "give-up"],
    [{ outcome: answered(503) }, "give-up"],
    [{ outcome: answered(503), policy: withCodes }, "again"],
    [{ outcome: answered(503), policy: withCodes, method: "POST" }, "again"],
    [{ outcome: answered(503), policy: withCodes, made: 3 }, "give-up"],
    [{ outcome: answered(500), policy: withCodes }, "give-up"],
  ];
  for (const [q, want] of table) assert.equal(ask(q), want, JSON.stringify(q));
});
