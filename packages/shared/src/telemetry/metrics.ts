// What does a component count, and how is it exposed? (own accumulators and rendering; prom-client for the process's figures)

import {
  boundText,
  CONTENT_TYPES,
  type Described,
  endText,
  formatFor,
  headText,
  labelText,
  sampleText,
  type TextFormat,
} from "./exposition.ts";
import { createProcessMetrics } from "./process-metrics.ts";

/** The one child of a family for one set of label values: keep it, adding to it costs an addition. */
export type CounterChild = { add(n?: number): void; readonly value: number };
export type GaugeChild = { set(n: number): void; add(n: number): void; readonly value: number };
export type HistogramChild = {
  observe(n: number): void;
  /** Adds another's observations: how many in each bucket (the last is +Inf; not cumulative), and their sum. */
  merge(counts: ArrayLike<number>, sum: number): void;
};

export type LabelValues<L extends string> = Readonly<Record<L, string>>;
export type Family<L extends string, C> = {
  /** The child for these values: made once, the same object ever after. */
  with(values: LabelValues<L>): C;
  /** Forgets the child for these values, so that it is no longer exposed. */
  remove(values: LabelValues<L>): void;
};

export type FamilyOptions<L extends string> = { readonly name: string; readonly help: string; readonly labels?: readonly L[] };
export type CounterSetOptions<L extends string, N extends string> = {
  readonly labels: readonly L[];
  readonly families: Readonly<Record<N, { readonly name: string; readonly help: string }>>;
};
export type Exposition = { readonly contentType: string; readonly body: string };
export type StreamedExposition = { readonly contentType: string; readonly chunks: AsyncIterable<string> };

export type Metrics = {
  counter<const L extends string = never>(options: FamilyOptions<L>): Family<L, CounterChild>;
  /**
   * Counters that come with the same labels: one look-up and one copy of the labels for all of them. Each is exposed for a
   * set of label values once something, be it 0, has been added to it there.
   */
  counters<const L extends string, const N extends string>(options: CounterSetOptions<L, N>): Family<L, Readonly<Record<N, CounterChild>>>;
  gauge<const L extends string = never>(options: FamilyOptions<L>): Family<L, GaugeChild>;
  histogram<const L extends string = never>(options: FamilyOptions<L> & { readonly buckets: readonly number[] }): Family<L, HistogramChild>;
  /** A gauge that is asked at each scrape. */
  gaugeOf(options: FamilyOptions<never>, read: () => number): void;
  /** OpenMetrics when the Accept header asks for it, else the Prometheus text format. */
  expose(accept: string | undefined): Promise<Exposition>;
  /** The same in pieces; other work of the thread goes on between them. */
  stream(accept: string | undefined): StreamedExposition;
};

/** A family as it is exposed: the lines of its samples as they are now. */
type Exposed = Described & { lines(format: TextFormat): Iterable<string> };

/** A number that is NaN until something has been added to it. */
class Slot implements CounterChild, GaugeChild {
  #value: number;
  constructor(value: number) {
    this.#value = value;
  }
  get value(): number {
    return Number.isNaN(this.#value) ? 0 : this.#value;
  }
  get touched(): boolean {
    return !Number.isNaN(this.#value);
  }
  add(n = 1): void {
    this.#value = this.value + n;
  }
  set(n: number): void {
    this.#value = n;
  }
}

type Buckets = HistogramChild & { readonly counts: Float64Array; readonly sum: number };

const histogramChild = (bounds: readonly number[]): Buckets => {
  const counts = new Float64Array(bounds.length + 1);
  let sum = 0;
  return {
    counts,
    get sum() {
      return sum;
    },
    observe: (n) => {
      let i = 0;
      while (i < bounds.length && n > (bounds[i] ?? 0)) i++;
      counts[i] = (counts[i] ?? 0) + 1;
      sum += n;
    },
    merge: (more, moreSum) => {
      for (let i = 0; i < counts.length; i++) counts[i] = (counts[i] ?? 0) + (more[i] ?? 0);
      sum += moreSum;
    },
  };
};

function* histogramLines(name: string, labels: string, how: { child: Buckets; bounds: readonly number[]; format: TextFormat }) {
  const { child, bounds, format } = how;
  const prefix = labels === "" ? "" : `${labels},`;
  let below = 0;
  for (const [i, count] of child.counts.entries()) {
    below += count;
    yield sampleText(`${name}_bucket`, `${prefix}le="${boundText(format, bounds[i] ?? Number.POSITIVE_INFINITY)}"`, below);
  }
  yield sampleText(`${name}_sum`, labels, child.sum);
  yield sampleText(`${name}_count`, labels, below);
}

/** The children by their labels' text, which is also what is printed. */
const childrenOf = <L extends string, C>(names: readonly L[], make: () => C) => {
  const children = new Map<string, C>();
  const family: Family<L, C> = {
    with: (values) => {
      const labels = labelText(names, values);
      const known = children.get(labels);
      if (known !== undefined) return known;
      const child = make();
      children.set(labels, child);
      return child;
    },
    remove: (values) => void children.delete(labelText(names, values)),
  };
  return { children, family };
};

const CHUNK = 65_536;
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function* inChunks(lines: Iterable<string>): AsyncGenerator<string> {
  let chunk = "";
  for (const line of lines) {
    chunk += line;
    if (chunk.length < CHUNK) continue;
    yield chunk;
    chunk = "";
    await nextTurn();
  }
  if (chunk !== "") yield chunk;
}

function* allLines(families: Iterable<Exposed>, format: TextFormat): Generator<string> {
  for (const f of families) {
    yield headText(format, f);
    yield* f.lines(format);
  }
  yield endText(format);
}

/** With `processMetrics`, Node's and the process's own figures are exposed too (process_open_fds, process_max_fds, …). */
export const createMetrics = (options: { readonly processMetrics?: boolean } = {}): Metrics => {
  const families = new Map<string, Exposed>();
  const ofProcess = options.processMetrics === true ? createProcessMetrics() : undefined;

  const register = (family: Exposed): void => {
    if (families.has(family.name)) throw new Error(`there is a metric ${family.name} already`);
    families.set(family.name, family);
  };
  const numbers = <L extends string>(o: FamilyOptions<L>, type: "counter" | "gauge"): Family<L, Slot> => {
    const { children, family } = childrenOf(o.labels ?? [], () => new Slot(0));
    register({
      name: o.name,
      help: o.help,
      type,
      lines: function* () {
        for (const [labels, child] of children) yield sampleText(o.name, labels, child.value);
      },
    });
    return family;
  };
  const processFamilies = async (): Promise<readonly Exposed[]> =>
    ((await ofProcess?.()) ?? []).map((f) => ({
      ...f,
      lines: () => f.samples.map((s) => sampleText(s.name, labelText(Object.keys(s.labels), s.labels), s.value)),
    }));
  const stream = (accept: string | undefined): StreamedExposition => {
    const format = formatFor(accept);
    const chunks = async function* () {
      yield* inChunks(allLines([...families.values(), ...(await processFamilies())], format));
    };
    return { contentType: CONTENT_TYPES[format], chunks: chunks() };
  };

  return {
    counter: (o) => numbers(o, "counter"),
    gauge: (o) => numbers(o, "gauge"),
    counters: <L extends string, N extends string>({ labels, families: of }: CounterSetOptions<L, N>) => {
      const names = Object.keys(of) as N[];
      const make = () => Object.fromEntries(names.map((n) => [n, new Slot(Number.NaN)])) as Record<N, Slot>;
      const { children, family } = childrenOf(labels, make);
      for (const n of names)
        register({
          ...of[n],
          type: "counter",
          lines: function* () {
            for (const [text, child] of children) if (child[n].touched) yield sampleText(of[n].name, text, child[n].value);
          },
        });
      return family;
    },
    histogram: (o) => {
      const { children, family } = childrenOf(o.labels ?? [], () => histogramChild(o.buckets));
      register({
        name: o.name,
        help: o.help,
        type: "histogram",
        lines: function* (format) {
          for (const [labels, child] of children) yield* histogramLines(o.name, labels, { child, bounds: o.buckets, format });
        },
      });
      return family;
    },
    gaugeOf: (o, read) => register({ name: o.name, help: o.help, type: "gauge", lines: () => [sampleText(o.name, "", read())] }),
    stream,
    expose: async (accept) => {
      const { contentType, chunks } = stream(accept);
      const parts: string[] = [];
      for await (const chunk of chunks) parts.push(chunk);
      return { contentType, body: parts.join("") };
    },
  };
};
