// How many octets may the peer still send, and when is it told that it may send more? (RFC 9113 section 5.2)

import { ConnectionError } from "./codes.ts";

/** A window that we grant. Credit is told in batches of a quarter, so that frames about it stay rare. */
export class ReceiveWindow {
  readonly #batch: number;
  /** What the peer may still send. */
  #open: number;
  /** Consumed, and not told yet. */
  #owed = 0;

  constructor(size: number) {
    this.#batch = size / 4;
    this.#open = size;
  }

  /** Octets came. Throws ConnectionError when they are more than were allowed. */
  take(n: number): void {
    this.#open -= n;
    if (this.#open < 0) throw new ConnectionError("FLOW_CONTROL_ERROR", `the peer sent ${-this.#open} octets more than it may`);
  }

  /** Octets were consumed: what to tell the peer now, 0 for nothing. */
  give(n: number): number {
    this.#owed += n;
    if (this.#owed < this.#batch) return 0;
    const told = this.#owed;
    this.#owed = 0;
    this.#open += told;
    return told;
  }
}

/**
 * The connection's window with room for stalled streams: what they hold is credited as if it were consumed, up to `slack` octets, so that a few
 * streams that nobody reads do not stop the others. What all streams hold together is bounded by the window and the slack.
 */
export class ConnectionReceiveWindow {
  readonly #window: ReceiveWindow;
  readonly #slack: number;
  /** Came and was not consumed. */
  #held = 0;
  /** Of these, not credited. */
  #withheld = 0;

  constructor(size: number, slack: number) {
    this.#window = new ReceiveWindow(size);
    this.#slack = slack;
  }

  get held(): number {
    return this.#held;
  }

  /** Octets came: what to tell the peer now. Throws ConnectionError. */
  take(n: number): number {
    this.#window.take(n);
    this.#held += n;
    this.#withheld += n;
    return this.#settle();
  }

  /** Octets were consumed or thrown away: what to tell the peer now. */
  give(n: number): number {
    this.#held -= n;
    return this.#settle();
  }

  #settle(): number {
    const withheld = Math.max(0, this.#held - this.#slack);
    if (withheld >= this.#withheld) return 0;
    const credit = this.#withheld - withheld;
    this.#withheld = withheld;
    return this.#window.give(credit);
  }
}
