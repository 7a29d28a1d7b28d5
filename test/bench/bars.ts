// Which figures are promised, and did this run keep them?
import { median } from "./stats.ts";

/** One thing measured, by every path it was measured on; values of the same round stand at the same index. */
export type Metric = {
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  /** The path that others are put in relation to. */
  readonly against: string | undefined;
  readonly values: Readonly<Record<string, readonly number[]>>;
};

export type Bar = {
  readonly metric: string;
  readonly path: string;
  readonly sense: "at least" | "at most";
  readonly value: number;
  /** A multiple of the median of `against`, or a figure in the metric's unit. */
  readonly of: "ratio" | "figure";
};

export const BARS: readonly Bar[] = [
  { metric: "throughput-1", path: "ztunnel", sense: "at least", value: 1.25, of: "ratio" },
  { metric: "throughput-8", path: "ztunnel", sense: "at least", value: 1, of: "ratio" },
  { metric: "beside-http2-1", path: "ztunnel", sense: "at least", value: 1.7, of: "ratio" },
  { metric: "beside-http2-8", path: "ztunnel", sense: "at least", value: 1.7, of: "ratio" },
  { metric: "added-p50", path: "ztunnel", sense: "at most", value: 1.6, of: "ratio" },
  { metric: "added-p99", path: "ztunnel", sense: "at most", value: 1.6, of: "ratio" },
  { metric: "connections", path: "ztunnel", sense: "at least", value: 4, of: "ratio" },
  { metric: "rss-idle", path: "ztunnel", sense: "at most", value: 120, of: "figure" },
  { metric: "rss-workloads", path: "ztunnel", sense: "at most", value: 160, of: "figure" },
  { metric: "held-client", path: "ztunnel", sense: "at most", value: 12, of: "figure" },
  { metric: "held-server", path: "ztunnel", sense: "at most", value: 12, of: "figure" },
];

/** The median as a multiple of the peer's; undefined where there is no peer, or where it is the peer itself. */
export const ratioOf = (metric: Metric, path: string): number | undefined => {
  const peer = metric.against === undefined || metric.against === path ? undefined : metric.values[metric.against];
  const own = metric.values[path];
  return peer === undefined || own === undefined ? undefined : median(own) / median(peer);
};

/** "≥ 1.25: held" or by how much it was missed; undefined where nothing is promised. */
export const barOf = (metric: Metric, path: string, bars: readonly Bar[] = BARS): string | undefined => {
  const bar = bars.find((b) => b.metric === metric.id && b.path === path);
  const found = bar?.of === "ratio" ? ratioOf(metric, path) : median(metric.values[path] ?? []);
  if (bar === undefined || found === undefined || !Number.isFinite(found)) return undefined;
  const wants = `${bar.sense === "at least" ? "≥" : "≤"} ${bar.value}${bar.of === "ratio" ? " ×" : ""}`;
  const held = bar.sense === "at least" ? found >= bar.value : found <= bar.value;
  return `${wants}: ${held ? "held" : `missed, ${(found / bar.value).toFixed(2)} of it`}`;
};
