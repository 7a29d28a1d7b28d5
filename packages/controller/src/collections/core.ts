// What is a collection, and what is the graph that keeps collections consistent?

/** One key's change. Never both absent; `old` and `value` are never equal by the collection's own equality. */
export type Change<V> = { readonly key: string; readonly old: V | undefined; readonly value: V | undefined };

export type Listener<V> = (changes: readonly Change<V>[]) => void;

/** A keyed set of immutable records that changes only in whole batches. */
export type Collection<V> = {
  readonly name: string;
  get(key: string): V | undefined;
  /** In no order that matters. */
  list(): readonly V[];
  keys(): readonly string[];
  readonly size: number;
  /**
   * Calls the listener once with all that is there, then after each batch with what changed in it. Listeners run when the
   * whole graph has settled, so whatever they read is of one moment. Returns the end of the subscription.
   */
  subscribe(listener: Listener<V>): () => void;
};

/** A collection's inside: what the graph and other collections need of it. */
export type Vertex<V = unknown> = Collection<V> & {
  readonly kind: string;
  /** Position in topological order: greater than that of everything it reads. */
  readonly order: number;
  readonly inputs: readonly string[];
  /** Takes in what earlier vertices queued for it and answers with its own changes. */
  settle(): readonly Change<V>[];
  /** Told of each change of a collection this one reads. */
  onChange(dependent: Dependent<V>): void;
  changed(changes: readonly Change<V>[]): void;
  notify(changes: readonly Change<V>[]): void;
  /** Dependencies held at present: must fall back when what needed them goes (leak tests, dump). */
  dependencies(): number;
  runs(): number;
};

/** Queues changes and answers whether there is now something to settle. */
export type Dependent<V> = { readonly order: number; queue(changes: readonly Change<V>[]): boolean };

export type GraphError = { readonly collection: string; readonly key: string; readonly cause: unknown };

export type Graph = {
  readonly vertices: readonly Vertex[];
  add<V>(vertex: Vertex<V>): void;
  nextOrder(): number;
  /** Marks a vertex as having something to settle; settles at once unless a batch is open. */
  touch(order: number): void;
  /** All edits made inside are seen by the graph as one. Batches nest; the outermost one settles. */
  batch(edit: () => void): void;
  /** A transform threw: a bug in it. The input keeps its last good outputs, the rest of the graph goes on. */
  report(error: GraphError): void;
};

/** The vertex behind a collection; a collection that no graph made is a bug. */
export const vertexOf = <V>(c: Collection<V>): Vertex<V> => {
  if (!("settle" in c)) throw new Error(`${c.name} is not part of a graph`);
  return c as Vertex<V>;
};
