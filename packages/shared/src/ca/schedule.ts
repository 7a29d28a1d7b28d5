// When is a certificate renewed, when is a failed fetch tried again, and who goes first? (ambient-l4 section 4)

import type { Priority } from "./types.ts";

const FIRST_MS = 1_000;
const MAX_MS = 150_000;
const DAY_MS = 86_400_000;

/** At half of its life, in milliseconds since the epoch. */
export const renewAt = (cert: { readonly notBefore: number; readonly notAfter: number }): number =>
  cert.notBefore + Math.floor((cert.notAfter - cert.notBefore) / 2);

/** How long to sleep towards a time: never more than a day at once (timers overflow at 24.8 days), never negative. */
export const sleepTowards = (time: number, now: number): number => Math.min(DAY_MS, Math.max(0, time - now));

/**
 * Milliseconds to wait after the attempt-th failure in a row (from 0): 0.5 to 1 s at first, then doubling up to 150 s with a
 * jitter of a fifth. With a certificate that still serves, never past half of what is left of it (but a second at least).
 */
export const retryDelayMs = (attempt: number, random: () => number, expiresInMs?: number): number => {
  const wait =
    attempt === 0 ? FIRST_MS * (0.5 + random() / 2) : Math.min(MAX_MS, FIRST_MS * 2 ** Math.min(attempt, 20) * (0.8 + 0.4 * random()));
  return expiresInMs === undefined || expiresInMs <= 0 ? wait : Math.min(wait, Math.max(FIRST_MS, expiresInMs / 2));
};

/** Renewal was due at half of the life: this says that of what was left then, half has gone too. */
export const isOverdue = (cert: { readonly notBefore: number; readonly notAfter: number }, now: number): boolean =>
  now >= (renewAt(cert) + cert.notAfter) / 2;

const MINUTE_MS = 60_000;

/** Whose clock may be wrong, when a fresh certificate does not hold now; "" when its time is right. */
export const skewText = (cert: { readonly notBefore: number; readonly notAfter: number }, now: number): string => {
  const seconds = (ms: number): string => (ms < MINUTE_MS ? `${Math.ceil(ms / 1000)} s` : `${Math.ceil(ms / MINUTE_MS)} min`);
  if (now < cert.notBefore) return `: it begins ${seconds(cert.notBefore - now)} in our future; is this machine's clock behind the CA's?`;
  if (now >= cert.notAfter) return `: it ended ${seconds(now - cert.notAfter)} ago; is this machine's clock ahead of the CA's?`;
  return "";
};

const RANK: Readonly<Record<Priority, number>> = { RealTime: 0, Warmup: 1, Background: 2 };

export const moreUrgent = (a: Priority, b: Priority): Priority => (RANK[a] <= RANK[b] ? a : b);

/** The most urgent of those waiting; among equals the one that came first. */
export const nextOf = <T extends { readonly priority: Priority }>(waiting: Iterable<T>): T | undefined => {
  let best: T | undefined;
  for (const w of waiting) if (best === undefined || RANK[w.priority] < RANK[best.priority]) best = w;
  return best;
};
