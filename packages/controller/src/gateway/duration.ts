// How long is a Gateway API duration? (GEP-2257)

import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";

const UNIT_MS = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const;

/** "1h30m", "10s", "250ms" in milliseconds; up to four units, each a whole number of at most five digits. */
export const gatewayDurationMs = (text: string): Result<number> => {
  if (!/^([0-9]{1,5}(h|m|s|ms)){1,4}$/.test(text)) return err(`${JSON.stringify(text)} is not a duration such as "10s" or "500ms"`);
  const parts = [...text.matchAll(/([0-9]+)(ms|h|m|s)/g)];
  return ok(parts.reduce((sum, [, n, unit]) => sum + Number(n) * UNIT_MS[unit as keyof typeof UNIT_MS], 0));
};
