// What do several measurements of one thing say together?

export type Summary = { readonly min: number; readonly median: number; readonly max: number; readonly count: number };

const ascending = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

/** The value that at least `share` (0 to 1) of the values do not exceed: nearest rank. NaN of nothing. */
export const percentile = (values: readonly number[], share: number): number => {
  const sorted = ascending(values);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? Number.NaN;
};

/** Between the two middle ones where their number is even. NaN of nothing. */
export const median = (values: readonly number[]): number => {
  const sorted = ascending(values);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return (lower + upper) / 2;
};

export const summarize = (values: readonly number[]): Summary => ({
  min: Math.min(...values),
  median: median(values),
  max: Math.max(...values),
  count: values.length,
});

/** The items from the k-th on, then those before it: so that no peer is always measured first. */
export const rotate = <T>(items: readonly T[], k: number): T[] => {
  const at = items.length === 0 ? 0 : k % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
};
