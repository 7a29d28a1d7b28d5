// Which streams are there, and what was a stream id that is not there any more? (RFC 9113 section 5.1)

/** How a stream that is gone was closed: both ends ended it, or somebody reset it. */
export type Closing = "ended" | "reset-by-us" | "reset-by-peer";
export type Place<S> =
  | { readonly t: "open"; readonly stream: S }
  | { readonly t: "idle" }
  /** "forgotten": closed too long ago to know how. "skipped": its opener used a higher id without it. */
  | { readonly t: "closed"; readonly how: Closing | "forgotten" | "skipped" };

/** Frames that crossed a closing come within a round trip; after this many other closings nobody tells what they were. */
const REMEMBERED = 1024;

/** The streams of one connection, as one side sees them. */
export class StreamTable<S> {
  readonly #open = new Map<number, S>();
  readonly #closed = new Map<number, Closing>();
  readonly #own: 0 | 1;
  #nextOwn: number;
  #highestTheirs = 0;
  #forgotten = 0;
  #theirs = 0;
  /** The stream asked for last: data comes in runs. */
  #last: { readonly id: number; readonly stream: S } | undefined;

  constructor(role: "client" | "server") {
    this.#own = role === "client" ? 1 : 0;
    this.#nextOwn = role === "client" ? 1 : 2;
  }

  get size(): number {
    return this.#open.size;
  }

  /** How many the peer opened. */
  get theirs(): number {
    return this.#theirs;
  }

  /** The highest id that the peer used. */
  get highestTheirs(): number {
    return this.#highestTheirs;
  }

  values(): S[] {
    return [...this.#open.values()];
  }

  /** The id for the next stream of ours; undefined when there are none left. */
  takeId(): number | undefined {
    const id = this.#nextOwn;
    if (id > 0x7fffffff) return undefined;
    this.#nextOwn += 2;
    return id;
  }

  /** Whether the peer may open a stream with this id: its kind, and above all it used. Marks it used. */
  peerOpens(id: number): boolean {
    if (id % 2 === this.#own || id <= this.#highestTheirs) return false;
    this.#highestTheirs = id;
    return true;
  }

  add(id: number, stream: S): void {
    this.#open.set(id, stream);
    if (id % 2 !== this.#own) this.#theirs += 1;
  }

  find(id: number): S | undefined {
    if (this.#last?.id === id) return this.#last.stream;
    const stream = this.#open.get(id);
    if (stream !== undefined) this.#last = { id, stream };
    return stream;
  }

  /** Also for a stream that was never added (refused). */
  close(id: number, how: Closing): void {
    if (this.#last?.id === id) this.#last = undefined;
    if (this.#open.delete(id) && id % 2 !== this.#own) this.#theirs -= 1;
    this.#closed.set(id, how);
    if (this.#closed.size <= REMEMBERED) return;
    const [oldest] = this.#closed.keys();
    if (oldest === undefined) return;
    this.#closed.delete(oldest);
    this.#forgotten = Math.max(this.#forgotten, oldest);
  }

  place(id: number): Place<S> {
    const stream = this.find(id);
    if (stream !== undefined) return { t: "open", stream };
    const how = this.#closed.get(id);
    if (how !== undefined) return { t: "closed", how };
    const used = id % 2 === this.#own ? id < this.#nextOwn : id <= this.#highestTheirs;
    if (!used) return { t: "idle" };
    return { t: "closed", how: id <= this.#forgotten ? "forgotten" : "skipped" };
  }
}
