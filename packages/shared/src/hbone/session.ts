// How are HTTP/2 sessions that carry tunnels set up and kept alive? (ambient-l4 section 1.9)

import type { ClientSessionOptions, Http2Session, ServerSessionOptions, Settings } from "node:http2";
import type { World } from "../runtime/world.ts";

const MIB = 1 << 20;
/** The connection's window is larger than a stream's, so that one stalled stream does not starve the others. */
const STREAM_WINDOW = 4 * MIB;
const CONNECTION_WINDOW = 16 * MIB;
const FRAME = MIB;
const SERVER_HEADER_LIST = 64 * 1024;
const CLIENT_HEADER_LIST = 16 * 1024;

const common = {
  // In MB; counts what is queued to be sent. The default of 10 refuses streams under ordinary load with windows as large as these.
  maxSessionMemory: 256,
  maxHeaderListPairs: 128,
} as const;

const settings = { initialWindowSize: STREAM_WINDOW, maxFrameSize: FRAME } satisfies Settings;

export const clientOptions: ClientSessionOptions = {
  ...common,
  settings: { ...settings, enablePush: false, maxHeaderListSize: CLIENT_HEADER_LIST },
};

export const serverOptions = (maxStreams: number): ServerSessionOptions => ({
  ...common,
  settings: { ...settings, maxConcurrentStreams: maxStreams, maxHeaderListSize: SERVER_HEADER_LIST },
  // Resets are how tunnels are cut, so more of them are honest than for a web server; a flood still ends the session.
  streamResetBurst: 2_000,
  streamResetRate: 200,
});

/** Once the session's handle is there: HTTP/2 has no setting for the connection's window. */
export const widen = (session: Http2Session): void => session.setLocalWindowSize(CONNECTION_WINDOW);

export type PingTimes = { readonly everyMs: number; readonly timeoutMs: number };

/** True when the peer answered a PING in time; false when it did not, or the session or the signal ended first. */
export const answersPing = async (session: Http2Session, world: World, timeoutMs: number, signal: AbortSignal): Promise<boolean> => {
  if (session.destroyed) return false;
  const done = new AbortController();
  const acked = new Promise<boolean>((resolve) => {
    // Not sent: as many PINGs as are allowed wait for their answer, and one of them decides.
    if (!session.ping((error) => resolve(error === null))) resolve(true);
  });
  const late = world.sleep(timeoutMs, AbortSignal.any([signal, done.signal])).then(
    () => false,
    () => false,
  );
  try {
    return await Promise.race([acked, late]);
  } finally {
    done.abort();
  }
};

/**
 * Pings until the signal aborts; a session whose peer does not answer in time is destroyed. `tick` runs before each PING.
 */
export const keepAlive = async (
  session: Http2Session,
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
