// What does a component count, and how is it exposed? (own accumulators, prom-client's registry and text formats)

import { collectDefaultMetrics, type Metric, Registry, type RegistryContentType } from "prom-client";

/** The one child of a family for one set of label values: keep it, adding to it costs an addition. */
export type CounterChild = { add(n?: number): void; readonly value: number };
export type GaugeChild = { set(n: number): void; add(n: number): void; readonly value: number };
export type HistogramChild = { observe(n: number): void };

export type LabelValues<L extends string> = Readonly<Record<L, string>>;
export type Family<L extends string, C> = {
  /** The child for these values: made once, the same object ever after. */
  with(values: LabelValues<L>): C;
  /** Forgets the child for these values, so that it is no longer exposed. */
  remove(values: LabelValues<L>): void;
};

export type FamilyOptions<L extends string> = { readonly name: string; readonly help: string; readonly labels?: readonly L[] };
export type Exposition = { readonly contentType: string; readonly body: string };

export type Metrics = {
  counter<const L extends string = never>(options: FamilyOptions<L>): Family<L, CounterChild>;
  gauge<const L extends string = never>(options: FamilyOptions<L>): Family<L, GaugeChild>;
  histogram<const L extends string = never>(options: FamilyOptions<L> & { readonly buckets: readonly number[] }): Family<L, HistogramChild>;
  /** A gauge that is asked at each scrape. */
  gaugeOf(options: FamilyOptions<never>, read: () => number): void;
  /** OpenMetrics when the Accept header asks for it, else the Prometheus text format. */
  expose(accept: string | undefined): Promise<Exposition>;
};

type Sample = { readonly labels: Readonly<Record<string, string | number>>; readonly value: number; readonly metricName?: string };
type Kind = "counter" | "gauge" | "histogram";
type Exposed = { readonly name: string; readonly help: string; readonly type: Kind; readonly values: readonly Sample[] };

const counterChild = (): CounterChild & { samples(): Omit<Sample, "labels">[] } => {
  let value = 0;
  return {
    add: (n = 1) => {
      value += n;
    },
    get value() {
      return value;
    },
    samples: () => [{ value }],
  };
};

const gaugeChild = (): GaugeChild & { samples(): Omit<Sample, "labels">[] } => {
  let value = 0;
  return {
    set: (n) => {
      value = n;
    },
    add: (n) => {
      value += n;
    },
    get value() {
      return value;
    },
    samples: () => [{ value }],
  };
};

type Part = { readonly suffix: string; readonly le?: number | "+Inf"; readonly value: number };

const histogramChild = (bounds: readonly number[]): HistogramChild & { parts(): Part[] } => {
  const counts = new Float64Array(bounds.length + 1);
  let sum = 0;
  return {
    observe: (n) => {
      let i = 0;
      while (i < bounds.length && n > (bounds[i] ?? 0)) i++;
      counts[i] = (counts[i] ?? 0) + 1;
      sum += n;
    },
    parts: () => {
      let below = 0;
      const buckets = Array.from(counts, (count, i): Part => {
        below += count;
        return { suffix: "_bucket", le: bounds[i] ?? "+Inf", value: below };
      });
      return [...buckets, { suffix: "_sum", value: sum }, { suffix: "_count", value: below }];
    },
  };
};

/** prom-client asks a metric only for its name, type and `get()`; OpenMetrics renames counters in place, so each registry has its own view. */
const registerIn = (
  registry: { registerMetric(m: Metric): void },
  { name, type, get }: { readonly name: string; readonly type: Kind; readonly get: () => Promise<Exposed> | Exposed },
): void => {
  const view = { name, type, get: async () => ({ ...(await get()), name: view.name }) };
  registry.registerMetric(view as unknown as Metric);
};

const wantsOpenMetrics = (accept: string | undefined): boolean => accept?.includes("application/openmetrics-text") === true;

/** A registry. With `processMetrics`, Node's and the process's own figures are exposed too (process_open_fds, process_max_fds, …). */
export const createMetrics = (options: { readonly processMetrics?: boolean } = {}): Metrics => {
  const plain = new Registry();
  const open = new Registry<RegistryContentType>();
  open.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  if (options.processMetrics === true) {
    collectDefaultMetrics({ register: plain });
    for (const m of plain.getMetricsAsArray()) {
      const type = (m as unknown as { type: Kind }).type;
      registerIn(open, { name: m.name, type, get: () => (m as unknown as { get(): Promise<Exposed> }).get() });
    }
  }

  const family = <L extends string, C>(
    o: FamilyOptions<L>,
    type: Kind,
    shape: { make(): C; samples(child: C): Omit<Sample, "labels">[] },
  ) => {
    const names = o.labels ?? [];
    const children = new Map<string, { readonly labels: LabelValues<L>; readonly child: C }>();
    const key = (values: LabelValues<L>): string => names.map((n) => values[n]).join("\u0000");
    const get = (): Exposed => ({
      name: o.name,
      help: o.help,
      type,
      values: [...children.values()].flatMap(({ labels, child }) =>
        shape.samples(child).map((s) => ({ ...s, labels: { ...labels, ...("le" in s ? { le: s.le as string | number } : {}) } })),
      ),
    });
    for (const registry of [plain, open]) registerIn(registry, { name: o.name, type, get });
    const result: Family<L, C> = {
      with: (values) => {
        const k = key(values);
        const known = children.get(k);
        if (known !== undefined) return known.child;
        const child = shape.make();
        // Copied in the family's order: what is printed does not depend on how a caller wrote the record.
        children.set(k, { labels: Object.fromEntries(names.map((n) => [n, values[n]])) as LabelValues<L>, child });
        return child;
      },
      remove: (values) => {
        children.delete(key(values));
      },
    };
    return result;
  };

  return {
    counter: (o) => family(o, "counter", { make: counterChild, samples: (c) => c.samples() }),
    gauge: (o) => family(o, "gauge", { make: gaugeChild, samples: (c) => c.samples() }),
    histogram: (o) =>
      family(o, "histogram", {
        make: () => histogramChild(o.buckets),
        samples: (c) =>
          c.parts().map((p) => ({ value: p.value, metricName: `${o.name}${p.suffix}`, ...(p.le === undefined ? {} : { le: p.le }) })),
      }),
    gaugeOf: (o, read) => {
      const get = (): Exposed => ({ name: o.name, help: o.help, type: "gauge", values: [{ labels: {}, value: read() }] });
      for (const registry of [plain, open]) registerIn(registry, { name: o.name, type: "gauge", get });
    },
    expose: async (accept) => {
      const registry = wantsOpenMetrics(accept) ? open : plain;
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
};
