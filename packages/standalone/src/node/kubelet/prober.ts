// Who asks a running container's probes again and again, and what do they say now?

import type { Container, Probe } from "@ambit/shared/kube/objects/pod.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { afterAttempt, INITIAL, type ProbeState, timing } from "../pod/probe.ts";
import { type AttemptTarget, attempt } from "./attempt.ts";

export type ProbeKind = "startup" | "liveness" | "readiness";

export type ProbeEvents = {
  /** The startup probe has passed. */
  started(): void;
  ready(is: boolean, detail: string): void;
  /** The liveness or startup probe has failed for good: the container is to be killed. */
  unhealthy(kind: ProbeKind, detail: string): void;
  /** One attempt failed (for an Event). */
  failedOnce(kind: ProbeKind, detail: string): void;
};

/** Runs one probe until the signal aborts, telling each change of its result. */
const runProbe = async (
  probe: Probe,
  deps: { readonly world: World; readonly target: AttemptTarget; readonly signal: AbortSignal },
  tell: { readonly changed: (state: ProbeState, detail: string) => void; readonly failed: (detail: string) => void },
): Promise<void> => {
  const t = timing(probe);
  let state = INITIAL;
  await deps.world.sleep(t.initialDelayMs, deps.signal);
  while (!deps.signal.aborted) {
    const result = await attempt(probe, deps.target, AbortSignal.any([deps.signal, AbortSignal.timeout(t.timeoutMs)]));
    if (deps.signal.aborted) return;
    const next = afterAttempt(state, result, t);
    const detail = result.ok ? "" : result.detail;
    if (!result.ok) tell.failed(detail);
    if (next.result !== state.result) tell.changed(next, detail);
    state = next;
    await deps.world.sleep(t.periodMs, deps.signal);
  }
};

/**
 * Probes one run of a container until the signal aborts: the startup probe alone first, then liveness and readiness together.
 * A container without a probe is started, or ready, at once.
 */
export const probeContainer = async (
  container: Container,
  deps: { readonly world: World; readonly target: AttemptTarget; readonly signal: AbortSignal },
  events: ProbeEvents,
): Promise<void> => {
  const failedOnce = (kind: ProbeKind) => (detail: string) => events.failedOnce(kind, detail);
  try {
    if (container.startupProbe !== undefined) {
      const passed = new AbortController();
      let ok = false;
      const signal = AbortSignal.any([deps.signal, passed.signal]);
      const changed = (state: ProbeState, detail: string): void => {
        if (state.result === "failure") events.unhealthy("startup", detail);
        ok = state.result === "success";
        passed.abort();
      };
      await runProbe(container.startupProbe, { ...deps, signal }, { changed, failed: failedOnce("startup") }).catch((e: unknown) => {
        if (!passed.signal.aborted) throw e;
      });
      if (!ok) return;
      events.started();
    } else events.started();
    const { livenessProbe, readinessProbe } = container;
    if (readinessProbe === undefined) events.ready(true, "");
    await Promise.all([
      livenessProbe === undefined
        ? undefined
        : runProbe(livenessProbe, deps, {
            changed: (s, detail) => (s.result === "failure" ? events.unhealthy("liveness", detail) : undefined),
            failed: failedOnce("liveness"),
          }),
      readinessProbe === undefined
        ? undefined
        : runProbe(readinessProbe, deps, {
            changed: (s, detail) => events.ready(s.result === "success", detail),
            failed: failedOnce("readiness"),
          }),
    ]);
  } catch (e) {
    if (!deps.signal.aborted) throw e; // our own end interrupts a sleep; anything else is a fault
  }
};
