// How is a connection closed so that the peer can still read our last words?

import type { Duplex } from "node:stream";
import type { World } from "@ambit/shared/runtime/world.ts";

export type LingerLimits = { readonly bytes: number; readonly ms: number };
const LIMITS: LingerLimits = { bytes: 1024 * 1024, ms: 2_000 };

/**
 * Ends our direction and throws away what the peer still sends, up to a limit of bytes and time, then cuts.
 * Cutting at once would make the kernel drop our answer when unread bytes are waiting (RFC 9112 section 9.6).
 */
export const linger = (stream: Duplex, world: Pick<World, "sleep">, limits: LingerLimits = LIMITS): void => {
  if (stream.destroyed) return;
  const over = new AbortController();
  let left = limits.bytes;
  const cut = (): void => {
    over.abort();
    stream.destroy();
  };
  stream.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) cut();
  });
  stream.once("end", () => stream.end(cut));
  stream.once("error", cut);
  stream.once("close", () => over.abort());
  stream.end();
  stream.resume();
  // The only rejection of sleep is our own abort: the stream has closed.
  world.sleep(limits.ms, over.signal).then(cut, () => undefined);
};
