// When does a row of probe results change what a probe says?

import type { Probe } from "@ambit/shared/kube/objects/pod.ts";

/** What one attempt showed. */
export type Attempt = { readonly ok: true } | { readonly ok: false; readonly detail: string };

/** `result` is what the probe says now; `run` counts the equal attempts since the last change. */
export type ProbeState = { readonly result: "unknown" | "success" | "failure"; readonly last: boolean | undefined; readonly run: number };

export const INITIAL: ProbeState = { result: "unknown", last: undefined, run: 0 };

export type ProbeTiming = {
  readonly initialDelayMs: number;
  readonly periodMs: number;
  readonly timeoutMs: number;
  readonly successThreshold: number;
  readonly failureThreshold: number;
};

/** A probe's times and thresholds with the API's defaults. */
export const timing = (probe: Probe): ProbeTiming => ({
  initialDelayMs: (probe.initialDelaySeconds ?? 0) * 1000,
  periodMs: Math.max(1, probe.periodSeconds ?? 10) * 1000,
  timeoutMs: Math.max(1, probe.timeoutSeconds ?? 1) * 1000,
  successThreshold: Math.max(1, probe.successThreshold ?? 1),
  failureThreshold: Math.max(1, probe.failureThreshold ?? 3),
});

/** The state after one more attempt; the result changes only when a threshold is reached (kubelet prober/worker.go). */
export const afterAttempt = (
  state: ProbeState,
  attempt: Attempt,
  t: Pick<ProbeTiming, "successThreshold" | "failureThreshold">,
): ProbeState => {
  const run = state.last === attempt.ok ? state.run + 1 : 1;
  const threshold = attempt.ok ? t.successThreshold : t.failureThreshold;
  return { result: run >= threshold ? (attempt.ok ? "success" : "failure") : state.result, last: attempt.ok, run };
};
