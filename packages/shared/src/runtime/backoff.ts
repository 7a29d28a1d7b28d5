// How long does a retry wait?

export type Backoff = { readonly baseMs: number; readonly maxMs: number };

/** Exponential with full upper-half jitter: attempt 0 waits 50 % to 100 % of baseMs, doubling up to maxMs. */
export const backoffMs = (attempt: number, random: () => number, { baseMs, maxMs }: Backoff = { baseMs: 100, maxMs: 15_000 }): number =>
  Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30)) * (0.5 + random() / 2);
