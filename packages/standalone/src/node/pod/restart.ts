// After how long may a container that ended be started again?

/** The first restart is at once, the next waits 10 s, doubling up to 5 min; ten good minutes forgive all. */
const FIRST_MS = 10_000;
const MAX_MS = 300_000;
const FORGIVEN_MS = 600_000;

/** What a container that just ended must wait before its next start, given what it waited before this run. */
export const nextBackoffMs = (previousMs: number | undefined, ranMs: number): number => {
  if (previousMs === undefined || ranMs >= FORGIVEN_MS) return 0;
  return previousMs === 0 ? FIRST_MS : Math.min(MAX_MS, previousMs * 2);
};
