// How is a connection that carries tunnels kept alive, and found out when it is dead? (ambient-l4 section 1.9)

import type { World } from "../runtime/world.ts";
import type { H2Session } from "./h2/session.ts";

export type PingTimes = { readonly everyMs: number; readonly timeoutMs: number };

/** True when the peer answered a PING in time; false when it did not, or the session or the signal ended first. */
export const answersPing = async (session: H2Session, world: World, timeoutMs: number, signal: AbortSignal): Promise<boolean> => {
  if (session.destroyed) return false;
  const done = new AbortController();
  const late = world.sleep(timeoutMs, AbortSignal.any([signal, done.signal])).then(
    () => false,
    () => false,
  );
  try {
    return await Promise.race([session.ping(), late]);
  } finally {
    done.abort();
  }
};

/**
 * Pings until the signal aborts; a session whose peer does not answer in time is destroyed. `tick` runs before each PING.
 */
export const keepAlive = async (
  session: H2Session,
  world: World,
  options: PingTimes & { readonly signal: AbortSignal; readonly tick?: () => void; readonly alive?: () => void },
): Promise<void> => {
  const { signal, everyMs, timeoutMs } = options;
  for (;;) {
    const woke = await world.sleep(everyMs, signal).then(
      () => true,
      () => false,
    );
    if (!woke || signal.aborted) return;
    options.tick?.();
    if (session.closed) continue;
    const alive = await answersPing(session, world, timeoutMs, signal);
    if (signal.aborted) return;
    if (!alive) {
      session.destroy(Object.assign(new Error(`the peer did not answer a PING within ${timeoutMs} ms`), { code: "ETIMEDOUT" }));
      return;
    }
    options.alive?.();
  }
};
