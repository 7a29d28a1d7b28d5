// How can a request's body be sent again?

import type { Body, HeaderFields } from "../http/message.ts";

export type Replay = {
  /** The body for one attempt; attempts before are detached. */
  attempt(): Body;
  /** False once more was read than may be held back. */
  readonly possible: boolean;
};

/** Keeps what is read, up to `limit` bytes; beyond that the bytes only pass through and no further attempt can be made. */
export const replayable = (source: Body, limit: number): Replay => {
  let held: Buffer[] | undefined = [];
  let size = 0;
  let over = false;
  let pending: Promise<Buffer | undefined> | undefined;
  let current = 0;

  /** One read of the source at a time: an attempt that was given up may have left one behind, which is then everybody's. */
  const pull = (): Promise<Buffer | undefined> => {
    pending ??= source
      .read()
      .then((chunk) => {
        if (chunk === undefined) over = true;
        else if (held !== undefined) {
          size += chunk.length;
          if (size <= limit) held.push(chunk);
          else held = undefined;
        }
        return chunk;
      })
      .finally(() => {
        pending = undefined;
      });
    return pending;
  };
  const attempt = (): Body => {
    current += 1;
    const me = current;
    let at = 0;
    return {
      length: source.length,
      read: async () => {
        if (me !== current) return new Promise<never>(() => undefined); // detached: this attempt's connection is gone
        const again = held?.[at];
        if (again !== undefined) {
          at += 1;
          return again;
        }
        if (over) return undefined;
        const chunk = await pull();
        at += 1;
        return chunk;
      },
      trailers: (): HeaderFields => source.trailers(),
      cancel: () => undefined,
    };
  };
  return {
    attempt,
    get possible() {
      return held !== undefined;
    },
  };
};
