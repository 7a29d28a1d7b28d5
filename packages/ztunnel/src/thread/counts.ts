// How does a data thread count, so that reading its counts costs it nothing? (slots in shared memory)

import type {
  CounterChild,
  CounterSetOptions,
  Family,
  FamilyOptions,
  GaugeChild,
  HistogramChild,
  LabelValues,
  Metrics,
} from "@ambit/shared/telemetry/metrics.ts";
import type { MetricEvent, MetricFamily } from "./messages.ts";

/** What the data path counts with. Gauges that are asked at a scrape belong to the control thread. */
export type ThreadMetrics = Pick<Metrics, "counter" | "counters" | "gauge" | "histogram">;

const SLAB_SLOTS = 2048;

type Slots = { readonly array: Float64Array; readonly slab: number; readonly at: number };

/** A row of slots of its own for every child, in slabs that the control thread reads at any time. */
const createSlots = (tell: (event: MetricEvent) => void) => {
  let slab = -1;
  let array = new Float64Array(new SharedArrayBuffer(0));
  let used = 0;
  return (count: number): Slots => {
    if (used + count > array.length) {
      const buffer = new SharedArrayBuffer(8 * Math.max(SLAB_SLOTS, count));
      slab += 1;
      array = new Float64Array(buffer);
      used = 0;
      tell({ kind: "slab", slab, buffer });
    }
    const at = used;
    used += count;
    return { array, slab, at };
  };
};

const counterChild = ({ array, at }: Slots): CounterChild => ({
  add: (n = 1) => {
    array[at] = (array[at] ?? 0) + n;
  },
  get value() {
    return array[at] ?? 0;
  },
});

/** A counter of a set: its slot says NaN until something has been added, be it 0. */
const memberChild = (array: Float64Array, at: number): CounterChild => {
  array[at] = Number.NaN;
  return {
    add: (n = 1) => {
      array[at] = (array[at] || 0) + n;
    },
    get value() {
      return array[at] || 0;
    },
  };
};

const gaugeChild = (slots: Slots): GaugeChild => ({
  ...counterChild(slots),
  set: (n) => {
    slots.array[slots.at] = n;
  },
  add: (n) => {
    slots.array[slots.at] = (slots.array[slots.at] ?? 0) + n;
  },
  get value() {
    return slots.array[slots.at] ?? 0;
  },
});

const histogramChild = ({ array, at }: Slots, bounds: readonly number[]): HistogramChild => {
  const sum = at + bounds.length + 1;
  return {
    observe: (n) => {
      let i = 0;
      while (i < bounds.length && n > (bounds[i] ?? 0)) i++;
      array[at + i] = (array[at + i] ?? 0) + 1;
      array[sum] = (array[sum] ?? 0) + n;
    },
    merge: (counts, more) => {
      for (let i = 0; i <= bounds.length; i++) array[at + i] = (array[at + i] ?? 0) + (counts[i] ?? 0);
      array[sum] = (array[sum] ?? 0) + more;
    },
  };
};

/**
 * The thread's families. A new set of label values is told once; counting is a store into shared memory, so what was counted
 * outlives the thread. One writer per slot: no atomics.
 */
export const createThreadMetrics = (tell: (event: MetricEvent) => void): ThreadMetrics => {
  const take = createSlots(tell);
  let families = 0;
  const family = <L extends string, C>(
    o: FamilyOptions<L>,
    about: Pick<MetricFamily, "type" | "buckets" | "members">,
    make: (slots: Slots) => C,
  ): Family<L, C> => {
    const number = families++;
    const names = o.labels ?? [];
    const width = about.type === "histogram" ? about.buckets.length + 2 : (about.members?.length ?? 1);
    const children = new Map<string, C>();
    tell({ kind: "family", family: number, ...about, name: o.name, help: o.help, labels: names });
    return {
      with: (values: LabelValues<L>) => {
        const told = names.map((n) => values[n]);
        const key = told.join("\u0000");
        const known = children.get(key);
        if (known !== undefined) return known;
        const slots = take(width);
        const child = make(slots);
        children.set(key, child);
        tell({ kind: "child", family: number, values: told, slab: slots.slab, at: slots.at });
        return child;
      },
      // Counted by whoever holds it, and told for as long as the process lives: a counter that comes back must not start again.
      remove: (values) => void children.delete(names.map((n) => values[n]).join("\u0000")),
    };
  };
  return {
    counter: (o) => family(o, { type: "counter", buckets: [] }, counterChild),
    counters: <L extends string, N extends string>({ labels, families: of }: CounterSetOptions<L, N>) => {
      const names = Object.keys(of) as N[];
      const about = { type: "counters" as const, buckets: [], members: names.map((n) => of[n]) };
      return family(
        { name: about.members.map((m) => m.name).join(), help: "", labels },
        about,
        ({ array, at }) => Object.fromEntries(names.map((n, i) => [n, memberChild(array, at + i)])) as Record<N, CounterChild>,
      );
    },
    gauge: (o) => family(o, { type: "gauge", buckets: [] }, gaugeChild),
    histogram: (o) => family(o, { type: "histogram", buckets: o.buckets }, (slots) => histogramChild(slots, o.buckets)),
  };
};
