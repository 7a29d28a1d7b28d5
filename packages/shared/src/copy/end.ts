// What is one end of a connection, to those who pass its octets on? (a TCP socket, a tunnel's stream, any Duplex)

/**
 * The right to keep what `data` gave. The chunk is valid until the flush that follows it returns. Who wants to keep any part of it longer (because a
 * socket has not taken it yet) calls retain() before that, and release() once for every retain() that was granted; the same lease is given with
 * every chunk of one buffer, so that two pieces of it are two retains.
 */
export type Lease = {
  /**
   * True: the buffer stays as it is until release(). False: buffers are scarce (slow readers hold too many already), so copy what you need.
   * A piece that waits for a reader who is not reading should be copied anyway: a retained byte holds its whole buffer (256 KiB).
   */
  retain(): boolean;
  release(): void;
};

/** What an end tells. Methods of one object, so that a connection costs no closures. */
export type EndEvents = {
  /** Octets came. They are valid until `flush` returns, and longer for who retains the lease. */
  data(chunk: Buffer, lease: Lease): void;
  /** All that came at once has been told: what was gathered is to be passed on now. */
  flush(): void;
  /** The other side sends nothing more. */
  end(): void;
  /** n of the octets that flush() of the end had kept are on their way. */
  taken(n: number): void;
  /** After end(): everything is on its way, and the end too. */
  finished(): void;
  /** Over, told once and last unless it was cut from here. `whole`: both halves had ended; `error`: why not, where that is known. */
  closed(whole: boolean, error: Error | undefined): void;
};

/**
 * Octets in order both ways, each half ending on its own. What `data` told is to be credited once it has been passed on: an end whose other
 * side may send only what was credited (a tunnel) is stopped by that, one that has no such thing (a socket) by pause().
 */
export type End = {
  /** Over or cut: calls have no effect any more. */
  readonly closed: boolean;
  /** Begins to tell; what came before is not lost. Once; may tell from inside the call. */
  start(events: EndEvents): void;
  /** Octets to send. Their memory is used until flush(), which must come in the same turn, and then only under the lease. */
  push(chunk: Buffer, lease: Lease): void;
  /** Sends what was pushed. How many octets had to be kept: who respects that pushes no more until they are taken. */
  flush(): number;
  credit(n: number): void;
  pause(): void;
  resume(): void;
  /** Nothing more will be pushed. */
  end(): void;
  /** Ends both halves at once, so that the other side sees a cut and no end. Nothing is told any more. */
  cut(error?: Error): void;
  /** The same, but in order where there is a difference: what has been written before is not overtaken by the cut. */
  close(): void;
};

/** For memory that is used again at once: whoever wants to keep it copies it. */
export const NO_LEASE: Lease = { retain: () => false, release: () => undefined };

/** For memory that nobody uses again. */
export const FREE_LEASE: Lease = { retain: () => true, release: () => undefined };

// What ztunnel too takes for a connection's ordinary end (copy.rs).
const ORDINARY: ReadonlySet<string> = new Set([
  "ECONNRESET",
  "EPIPE",
  "ENOTCONN",
  "ECANCELED",
  "ERR_STREAM_PREMATURE_CLOSE",
  "ERR_STREAM_DESTROYED",
  "ERR_STREAM_WRITE_AFTER_END",
]);

/** Connections end like this every day: nobody needs to be told. */
export const isOrdinary = (code: unknown): boolean => typeof code === "string" && ORDINARY.has(code);

/** An error of this kind takes only our own half: the other side had ended before, and what it sent is whole. */
export const isLate = (error: Error | undefined): boolean => error !== undefined && "late" in error && error.late === true;
