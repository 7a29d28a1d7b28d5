// What is a W3C trace context, and how is a fresh one made? (https://www.w3.org/TR/trace-context/)

import { err, ok, type Result } from "../runtime/result.ts";

/** Lower-case hex: 32 and 16 digits, neither all zero. */
export type TraceContext = { readonly traceId: string; readonly spanId: string; readonly sampled: boolean };

const hex = (digits: number, random: () => number): string => {
  let out = "";
  while (out.length < digits)
    out += Math.floor(random() * 0x1_0000_0000)
      .toString(16)
      .padStart(8, "0");
  const id = out.slice(0, digits);
  return /^0+$/.test(id) ? `${id.slice(1)}1` : id;
};

export const freshTrace = (random: () => number): TraceContext => ({ traceId: hex(32, random), spanId: hex(16, random), sampled: false });

/** The same trace, a new span: what a proxy sends on. */
export const childSpan = (parent: TraceContext, random: () => number): TraceContext => ({ ...parent, spanId: hex(16, random) });

/** The `traceparent` header. */
export const formatTraceparent = (t: TraceContext): string => `00-${t.traceId}-${t.spanId}-${t.sampled ? "01" : "00"}`;

/** Reads `traceparent`; a later version is read by its first four parts, as section 4.3 asks. */
export const parseTraceparent = (header: string): Result<TraceContext> => {
  const m = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(header);
  const [, version = "ff", traceId = "", spanId = "", flags = "", rest] = m ?? [];
  const bad = m === null || version === "ff" || (version === "00" && rest !== undefined) || /^0+$/.test(traceId) || /^0+$/.test(spanId);
  return bad
    ? err(`${JSON.stringify(header)} is not a traceparent`)
    : ok({ traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 });
};
