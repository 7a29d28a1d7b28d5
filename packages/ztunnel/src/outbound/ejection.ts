// When is an endpoint that keeps failing left alone, and when is it tried again? (outlier ejection, which Istio has none of at L4)

/** What has been seen of one endpoint. Undefined stands for one of which nothing bad is known. */
export type Health =
  /** `rounds`: how often it was ejected without having served since. */
  | { readonly t: "failing"; readonly failures: number; readonly rounds: number; readonly at: number }
  | { readonly t: "ejected"; readonly until: number; readonly rounds: number }
  /** One connection is trying it out; the others wait for what becomes of it. */
  | { readonly t: "trial"; readonly since: number; readonly rounds: number };

export type HealthEvent =
  /** A connection to it begins. */
  | "chosen"
  | "succeeded"
  /** Refused, no answer, a peer that is not who it must be, or 503. */
  | "failed"
  /** It said itself that others should be asked. */
  | "declined"
  /** The connection ended before it could tell anything. */
  | "abandoned";

export type EjectionLimits = {
  /** Failures in a row that eject. */
  readonly failures: number;
  /** The first ejection's length in milliseconds; each further one in a row is twice as long, up to `maxMs`. */
  readonly baseMs: number;
  readonly maxMs: number;
  readonly declinedMs: number;
  /** A trial that says nothing for so long no longer keeps others out. */
  readonly trialMs: number;
  /** A failure this long after the one before begins a new count. */
  readonly forgetMs: number;
};

export const EJECTION: EjectionLimits = {
  failures: 3,
  baseMs: 10_000,
  maxMs: 300_000,
  declinedMs: 5_000,
  trialMs: 20_000,
  forgetMs: 60_000,
};

export const isEjected = (h: Health | undefined, now: number, limits: EjectionLimits = EJECTION): boolean => {
  switch (h?.t) {
    case undefined:
    case "failing":
      return false;
    case "ejected":
      return now < h.until;
    case "trial":
      return now < h.since + limits.trialMs;
  }
};

const eject = (rounds: number, now: number, limits: EjectionLimits): Health => ({
  t: "ejected",
  until: now + Math.min(limits.maxMs, limits.baseMs * 2 ** rounds),
  rounds: rounds + 1,
});

const failed = (h: Health | undefined, now: number, limits: EjectionLimits): Health => {
  // One that is used although it is ejected (nobody else was left) rests no longer for failing again.
  if (h?.t === "ejected" && now < h.until) return h;
  if (h?.t === "ejected" || h?.t === "trial") return eject(h.rounds, now, limits);
  const inRow = h !== undefined && now - h.at < limits.forgetMs ? h.failures + 1 : 1;
  const rounds = h?.rounds ?? 0;
  return inRow >= limits.failures ? eject(rounds, now, limits) : { t: "failing", failures: inRow, rounds, at: now };
};

/** The next state; `now` in milliseconds. */
export const stepHealth = (
  h: Health | undefined,
  event: HealthEvent,
  { now, limits = EJECTION }: { now: number; limits?: EjectionLimits },
): Health | undefined => {
  switch (event) {
    case "succeeded":
      return undefined;
    case "failed":
      return failed(h, now, limits);
    case "declined":
      return isEjected(h, now, limits) ? h : { t: "ejected", until: now + limits.declinedMs, rounds: h?.rounds ?? 0 };
    case "chosen":
      return h?.t === "ejected" && now >= h.until ? { t: "trial", since: now, rounds: h.rounds } : h;
    case "abandoned":
      return h?.t === "trial" ? { t: "ejected", until: now, rounds: h.rounds } : h;
  }
};
