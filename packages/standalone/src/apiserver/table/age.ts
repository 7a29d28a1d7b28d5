// How long ago was that, as kubectl writes it?

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

/** `90s`, `5m30s`, `3h`, `2d4h`, `400d` (k8s.io/apimachinery/pkg/util/duration HumanDuration). */
export const humanDuration = (milliseconds: number): string => {
  const seconds = Math.trunc(milliseconds / 1000);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  const both = (large: number, largeUnit: string, small: number, smallUnit: string): string =>
    `${large}${largeUnit}${small === 0 ? "" : `${small}${smallUnit}`}`;
  const floor = Math.floor;
  if (seconds < 2 * MINUTE) return `${seconds}s`;
  if (seconds < 10 * MINUTE) return both(floor(seconds / MINUTE), "m", seconds % MINUTE, "s");
  if (seconds < 3 * HOUR) return `${floor(seconds / MINUTE)}m`;
  if (seconds < 8 * HOUR) return both(floor(seconds / HOUR), "h", floor(seconds / MINUTE) % 60, "m");
  if (seconds < 2 * DAY) return `${floor(seconds / HOUR)}h`;
  if (seconds < 8 * DAY) return both(floor(seconds / DAY), "d", floor(seconds / HOUR) % 24, "h");
  if (seconds < 2 * YEAR) return `${floor(seconds / DAY)}d`;
  if (seconds < 8 * YEAR) return both(floor(seconds / YEAR), "y", floor(seconds / DAY) % 365, "d");
  return `${floor(seconds / YEAR)}y`;
};

/** The age of an RFC 3339 time at `now` (epoch milliseconds). */
export const since = (time: unknown, now: number): string => {
  if (typeof time !== "string" || time === "") return "<unknown>";
  const at = Date.parse(time);
  return Number.isNaN(at) ? "<unknown>" : humanDuration(now - at);
};
