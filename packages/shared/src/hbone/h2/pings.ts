// Which of our PINGs wait for their answer? (RFC 9113 section 6.7)

/** More never wait at once: the latest then decides for those who ask meanwhile. */
const MOST = 4;

export class Pings {
  readonly #waiting = new Map<number, (alive: boolean) => void>();
  readonly #send: (opaque: Buffer) => void;
  #last = 0;

  constructor(send: (opaque: Buffer) => void) {
    this.#send = send;
  }

  /** True when the peer answers, false when the connection ends before it does. */
  ask(): Promise<boolean> {
    return new Promise((resolve) => {
      const latest = this.#waiting.get(this.#last);
      if (this.#waiting.size >= MOST && latest !== undefined) {
        this.#waiting.set(this.#last, (alive) => {
          latest(alive);
          resolve(alive);
        });
        return;
      }
      this.#last += 1;
      this.#waiting.set(this.#last, resolve);
      const opaque = Buffer.alloc(8);
      opaque.writeUInt32BE(this.#last, 4);
      this.#send(opaque);
    });
  }

  /** An answer came; one that nobody asked for is nothing. */
  answered(opaque: Buffer): void {
    const n = opaque.readUInt32BE(4);
    const resolve = this.#waiting.get(n);
    this.#waiting.delete(n);
    resolve?.(true);
  }

  /** There will be no answers. */
  end(): void {
    for (const resolve of this.#waiting.values()) resolve(false);
    this.#waiting.clear();
  }
}
