// Is a caller sent elsewhere only where that helps it and harms nobody?

import assert from "node:assert/strict";
import { test } from "node:test";
import { RESCUE } from "@ambit/shared/errors/codes.ts";
import { saysElsewhere } from "@ambit/shared/hbone/elsewhere.ts";
import { refusalHeaders, sendsElsewhere } from "./farewell.ts";

const able = { "x-ambit-retry": "able" };
for (const c of [
  { name: "a living pod takes everybody", dying: false, headers: able, want: false },
  { name: "a dying pod sends on who can go elsewhere", dying: true, headers: able, want: true },
  { name: "a dying pod serves who cannot, Istio's ztunnel too", dying: true, headers: {}, want: false },
  { name: "what the header may say later is not taken for able", dying: true, headers: { "x-ambit-retry": "unable" }, want: false },
] as const)
  test(c.name, () => assert.equal(sendsElsewhere({ dying: c.dying }, c.headers), c.want));

test("a failure of ours may be taken elsewhere, a decision may not", () => {
  const elsewhere = (code: keyof typeof RESCUE): boolean => saysElsewhere(RESCUE[code].hbone, refusalHeaders({ code }));
  for (const code of ["CONNECT", "CONNECT_TIMEOUT", "DRAINED", "ELSEWHERE", "UNKNOWN_SOURCE"] as const)
    assert.equal(elsewhere(code), true, code);
  for (const code of [
    "DENY",
    "DENY_LATE",
    "BAD_REQUEST",
    "IP_MISMATCH",
    "SELF_CALL",
    "PROTOCOL",
    "CLIENT_GONE",
    "NO_SERVICE_PORT",
  ] as const)
    assert.equal(elsewhere(code), false, code);
});
