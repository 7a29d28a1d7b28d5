// What do iperf3 and wrk say?
import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";

export type IperfReading = { readonly gbits: number; readonly bytes: number };

/** What arrived, from `iperf3 --json`. */
export const iperfReading = (json: string): Result<IperfReading> => {
  let said: { error?: string; end?: { sum_received?: { bits_per_second?: number; bytes?: number } } };
  try {
    said = JSON.parse(json) as typeof said;
  } catch {
    return err(`iperf3 did not print JSON: ${json.slice(0, 200)}`);
  }
  const { bits_per_second: bits = 0, bytes = 0 } = said.end?.sum_received ?? {};
  return said.error === undefined && bits > 0 ? ok({ gbits: bits / 1e9, bytes }) : err(`iperf3 says: ${said.error ?? "nothing arrived"}`);
};

export type WrkReading = { readonly perSecond: number; readonly p50Ms: number; readonly p99Ms: number };

const MS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1_000, m: 60_000 };

const latencyMs = (text: string, share: string): number => {
  const m = new RegExp(`^\\s*${share}%\\s+([\\d.]+)(us|ms|s|m)\\s*$`, "m").exec(text);
  return Number(m?.[1]) * (MS[m?.[2] ?? ""] ?? Number.NaN);
};

/** From `wrk --latency`; a run with refused or broken requests is no measurement. */
export const wrkReading = (text: string): Result<WrkReading> => {
  const trouble = /^\s*(Non-2xx or 3xx responses: .*|Socket errors: .*)$/m.exec(text)?.[1];
  if (trouble !== undefined) return err(`wrk says: ${trouble}`);
  const reading = {
    perSecond: Number(/^Requests\/sec:\s+([\d.]+)/m.exec(text)?.[1]),
    p50Ms: latencyMs(text, "50"),
    p99Ms: latencyMs(text, "99"),
  };
  return Object.values(reading).every(Number.isFinite) && reading.perSecond > 0 ? ok(reading) : err(`wrk says: ${text.slice(0, 300)}`);
};
