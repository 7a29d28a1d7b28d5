// Which frames that cost us more than their sender does a peer send too often? (pure: the clock is an argument)

import { ConnectionError } from "./codes.ts";

export type Nuisance = "settings" | "ping" | "reset" | "empty" | "noise" | "window";

/** `burst` at once, then `perSecond`. */
export type Allowance = { readonly burst: number; readonly perSecond: number };

/** Far above what honest peers do: resets are how tunnels are cut, so there are more of them than on the web. */
export const ALLOWED: Readonly<Record<Nuisance, Allowance>> = {
  settings: { burst: 20, perSecond: 1 },
  // Peers that measure the path send one each round trip.
  ping: { burst: 1000, perSecond: 200 },
  reset: { burst: 2000, perSecond: 200 },
  empty: { burst: 100, perSecond: 20 },
  noise: { burst: 1000, perSecond: 100 },
  window: { burst: 2000, perSecond: 200 },
};

type Bucket = { tokens: number; at: number };

/** Counts what a peer does; throws ConnectionError (ENHANCE_YOUR_CALM) when it is too much. */
export class Guard {
  readonly #allowed: Readonly<Record<Nuisance, Allowance>>;
  readonly #now: () => number;
  readonly #buckets = new Map<Nuisance, Bucket>();

  /** now: milliseconds. */
  constructor(now: () => number, allowed: Readonly<Record<Nuisance, Allowance>> = ALLOWED) {
    this.#now = now;
    this.#allowed = allowed;
  }

  count(kind: Nuisance): void {
    const bucket = this.#filled(kind);
    if (bucket.tokens < 1) throw new ConnectionError("ENHANCE_YOUR_CALM", `the peer sends too many ${WHAT[kind]}`);
    bucket.tokens -= 1;
  }

  /** Allows more: what we ourselves did calls for an answer. */
  earn(kind: Nuisance, n: number): void {
    this.#bucket(kind).tokens += n;
  }

  #bucket(kind: Nuisance): Bucket {
    const held = this.#buckets.get(kind) ?? { tokens: this.#allowed[kind].burst, at: this.#now() };
    this.#buckets.set(kind, held);
    return held;
  }

  #filled(kind: Nuisance): Bucket {
    const { burst, perSecond } = this.#allowed[kind];
    const bucket = this.#bucket(kind);
    const now = this.#now();
    const more = (Math.max(0, now - bucket.at) * perSecond) / 1000;
    // What was earned may stand above the burst; time adds nothing to it.
    if (bucket.tokens < burst) bucket.tokens = Math.min(burst, bucket.tokens + more);
    bucket.at = now;
    return bucket;
  }
}

const WHAT: Readonly<Record<Nuisance, string>> = {
  settings: "SETTINGS frames",
  ping: "PING frames",
  reset: "streams that are reset",
  empty: "empty DATA frames",
  noise: "frames without a use",
  window: "WINDOW_UPDATE frames",
};
