// How do the data threads' counts become the process's metrics? (read from shared memory when they are scraped)

import type { Family, HistogramChild, LabelValues, Metrics } from "@ambit/shared/telemetry/metrics.ts";
import type { MetricEvent, MetricFamily } from "./messages.ts";

/** One child of one thread: its slots, and what of them has been added up. */
type Source = {
  readonly array: Float64Array;
  readonly at: number;
  readonly add: (source: Source) => void;
  readonly gauge: boolean;
  seen: number;
};

type Joined = { join(values: LabelValues<string>): (source: Source) => void; readonly gauge: boolean };

const difference = (s: Source): number => {
  const now = s.array[s.at] ?? 0;
  const grown = now - s.seen;
  s.seen = now;
  return grown;
};

const addNumber =
  (child: { add(n: number): void }) =>
  (s: Source): void => {
    const grown = difference(s);
    if (grown !== 0) child.add(grown);
  };

/** A histogram's slots are its buckets (the last is +Inf) and its sum; all are added since the last time. */
const addHistogram = (child: HistogramChild, buckets: number) => {
  const seen = new Float64Array(buckets + 2);
  return ({ array, at }: Source): void => {
    const grown = seen.map((before, i) => (array[at + i] ?? 0) - before);
    if (grown.every((n) => n === 0)) return;
    seen.set(array.subarray(at, at + buckets + 2));
    child.merge(grown.subarray(0, buckets + 1), grown[buckets + 1] ?? 0);
  };
};

/** Counters of a set: a slot says NaN until something has been added to it. */
const addSet = (children: readonly { add(n: number): void }[]) => {
  const seen = new Float64Array(children.length).fill(Number.NaN);
  return ({ array, at }: Source): void => {
    for (const [i, child] of children.entries()) {
      const now = array[at + i] ?? Number.NaN;
      const before = seen[i] ?? Number.NaN;
      if (Number.isNaN(now) || now === before) continue;
      child.add(now - (Number.isNaN(before) ? 0 : before));
      seen[i] = now;
    }
  };
};

export type Gather = {
  on(thread: number, event: MetricEvent): void;
  /** Adds what has been counted since the last time: call it before the metrics are shown. */
  collect(): void;
  /** The thread has ended: what it counted stays, what it held at the time (gauges) is no more. */
  gone(thread: number): void;
};

export const createGather = (metrics: Pick<Metrics, "counter" | "counters" | "gauge" | "histogram">): Gather => {
  const joined = new Map<string, Joined>();
  const threads = new Map<number, { families: Map<number, MetricFamily & { joined: Joined }>; slabs: Float64Array[]; sources: Source[] }>();

  const numbers = (family: Family<string, { add(n?: number): void }>, gauge: boolean): Joined => ({
    gauge,
    join: (values) => addNumber(family.with(values)),
  });
  const make = (f: MetricFamily): Joined => {
    const options = { name: f.name, help: f.help, labels: f.labels };
    if (f.type === "counter") return numbers(metrics.counter(options), false);
    if (f.type === "counters") {
      const members = f.members ?? [];
      const set = metrics.counters({ labels: f.labels, families: Object.fromEntries(members.map((m) => [m.name, m])) });
      return {
        gauge: false,
        join: (values) => {
          const of = set.with(values);
          return addSet(members.flatMap((m) => of[m.name] ?? []));
        },
      };
    }
    if (f.type === "gauge") return numbers(metrics.gauge(options), true);
    const family = metrics.histogram({ ...options, buckets: f.buckets });
    return { gauge: false, join: (values) => addHistogram(family.with(values), f.buckets.length) };
  };
  /** One family of the process for the family of that name in every thread. */
  const familyOf = (f: MetricFamily): Joined => {
    const known = joined.get(f.name);
    if (known !== undefined) return known;
    const made = make(f);
    joined.set(f.name, made);
    return made;
  };
  const threadOf = (index: number) => {
    const known = threads.get(index);
    if (known !== undefined) return known;
    const made = { families: new Map<number, MetricFamily & { joined: Joined }>(), slabs: [], sources: [] };
    threads.set(index, made);
    return made;
  };

  return {
    on: (index, event) => {
      const thread = threadOf(index);
      if (event.kind === "family") return void thread.families.set(event.family, { ...event, joined: familyOf(event) });
      if (event.kind === "slab") {
        thread.slabs[event.slab] = new Float64Array(event.buffer);
        return;
      }
      const family = thread.families.get(event.family);
      const array = thread.slabs[event.slab];
      if (family === undefined || array === undefined) throw new Error(`data thread ${index} counts in a family that it has not told of`);
      const values = Object.fromEntries(family.labels.map((name, i) => [name, event.values[i] ?? ""]));
      thread.sources.push({ array, at: event.at, add: family.joined.join(values), gauge: family.joined.gauge, seen: 0 });
    },
    collect: () => {
      for (const { sources } of threads.values()) for (const s of sources) s.add(s);
    },
    gone: (index) => {
      for (const s of threads.get(index)?.sources ?? []) {
        if (s.gauge) s.array[s.at] = 0;
        s.add(s);
      }
      threads.delete(index);
    },
  };
};
