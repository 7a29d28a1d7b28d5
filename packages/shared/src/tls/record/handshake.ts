// How does node:tls do the handshake, and nothing but the handshake? (whole records are fed to it, and no more than it needs)

import { Socket } from "node:net";
import { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { duplexEnd } from "../../copy/duplex.ts";
import { tcpEnd } from "../../copy/tcp.ts";
import { BlockPool } from "./blocks.ts";
import { RecordConnection, type RecordDeps } from "./connection.ts";
import { type Evp, findEvp } from "./evp.ts";
import { parseKeylog } from "./keylog.ts";
import { HEADER, MAX_FRAGMENT, TYPE } from "./limits.ts";
import { Protection } from "./protect.ts";
import { suiteOf } from "./schedule.ts";

/** Large blocks that slow readers may keep, and that slow peers may hold up: 16 MiB of each a thread. Beyond that the octets are copied. */
const MOST = 64;

let shared: RecordDeps | undefined;
const depsOf = (evp: Evp): RecordDeps => {
  shared ??= { evp, inbound: new BlockPool(evp, MOST), outbound: new BlockPool(evp, MOST) };
  return shared;
};

/** undefined when this node binary has no EVP to call: TLS must then be left to node:tls for good. `error` says why. */
export const recordLayer = (): { readonly deps: RecordDeps } | { readonly error: Error } => {
  const found = findEvp();
  return "evp" in found ? { deps: depsOf(found.evp) } : found;
};

/** Of what was read and is not fed yet. No record is larger. */
const AHEAD = 65_536;

export type HandshakeOptions = {
  readonly role: "client" | "server";
  /** Around each record that is fed: what TLS emits meanwhile is about this handshake. */
  readonly feeding?: (now: boolean) => void;
};

/** What a header at `at` says; undefined when it is no TLS record, which TLS itself shall say to the peer. */
const recordSize = (bytes: Buffer, at: number): { readonly type: number; readonly size: number } | undefined => {
  const type = bytes[at] ?? 0;
  const length = bytes.readUInt16BE(at + 3);
  const known = type >= TYPE.ccs && type <= TYPE.data && bytes[at + 1] === 3 && length <= MAX_FRAGMENT;
  return known ? { type, size: HEADER + length } : undefined;
};

/** How many records of a type begin in what is written, over any boundaries. */
class RecordCounter {
  #header: number[] = [];
  #skip = 0;
  count = 0;
  counting = false;

  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#skip > 0) {
        const n = Math.min(this.#skip, chunk.length - at);
        this.#skip -= n;
        at += n;
        continue;
      }
      this.#header.push(chunk[at] ?? 0);
      at += 1;
      if (this.#header.length < HEADER) continue;
      const [type, , , high = 0, low = 0] = this.#header;
      if (this.counting && type === TYPE.data) this.count += 1;
      this.#skip = (high << 8) | low;
      this.#header = [];
    }
  }
}

/**
 * The stream under a TLSSocket for as long as the handshake lasts (for good where `takeOver` is not called: TLS 1.2). `takeOver` then lets TLS go without a word to the peer and gives the
 * connection to our own records. Destroyed before that, it takes the connection with it.
 */
export class Handshake extends Duplex {
  readonly raw: Duplex;
  readonly #options: HandshakeOptions;
  readonly #written = new RecordCounter();
  readonly #secrets: { client?: Buffer; server?: Buffer } = {};
  readonly #done = Promise.withResolvers<void>();
  #read: Buffer = Buffer.alloc(0);
  #wanted = false;
  /** Writes that TLS still thinks are under way: it writes nothing else meanwhile. */
  #unsettled = 0;
  #complete = false;
  #taken = false;

  constructor(raw: Duplex, options: HandshakeOptions) {
    super({ allowHalfOpen: true });
    this.raw = raw;
    this.#options = options;
    this.#done.promise.catch(() => undefined); // whoever waits for it is told
    // A connection on which the peer has said its last word is over, once TLS knows. Destroyed and not ended: TLS would still
    // write its goodbye, and a write after the end is an error that nobody listens for.
    this.once("end", () => setImmediate(() => this.destroy()));
    raw.on("data", this.#onData);
    raw.on("end", this.#onEnd);
    raw.on("error", this.#onError);
    raw.on("close", this.#onClose);
    raw.resume();
  }

  /** A line of the key log of this handshake; zeroed. */
  keylog(line: Buffer): void {
    const found = parseKeylog(line);
    line.fill(0);
    if (found === undefined) return;
    this.#secrets[found.side]?.fill(0);
    this.#secrets[found.side] = found.secret;
    // Both are there no sooner than the peer's Finished has been found good, on either side.
    this.#complete = this.#secrets.client !== undefined && this.#secrets.server !== undefined;
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#read = this.#read.length === 0 ? chunk : Buffer.concat([this.#read, chunk]);
    this.#pump();
    // Whoever sends ahead of the handshake waits.
    if (this.#complete || this.#read.length > AHEAD) this.raw.pause();
  };
  readonly #onEnd = (): void => void this.push(null);
  readonly #onError = (e: Error): void => void this.destroy(e);
  readonly #onClose = (): void => void this.destroy();

  #pump(): void {
    while (this.#wanted && !this.#complete && this.#unsettled === 0 && this.#read.length >= HEADER) {
      const found = recordSize(this.#read, 0) ?? { type: 0, size: this.#read.length };
      if (this.#read.length < found.size) return;
      const record = this.#read.subarray(0, found.size);
      this.#read = this.#read.subarray(found.size);
      // What a server writes from here on is under the application's key: the peer sends its second flight.
      if (found.type === TYPE.data && this.#options.role === "server") this.#written.counting = true;
      this.#wanted = false;
      this.#options.feeding?.(true);
      try {
        this.#wanted = this.push(record);
      } finally {
        this.#options.feeding?.(false);
      }
    }
    if (this.#complete) {
      if (this.#unsettled === 0) this.#done.resolve();
    } else if (this.#read.length <= AHEAD && !this.destroyed) this.raw.resume();
  }

  override _read(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#pump();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (e?: Error | null) => void): void {
    if (this.#taken) return void done();
    this.#written.push(chunk);
    this.#unsettled += 1;
    this.raw.write(chunk, (e) => {
      done(e);
      // Node's wrapper of streams (internal/js_stream_socket) calls a write finished an immediate later than we do.
      setImmediate(() => setImmediate(() => this.#settled()));
    });
  }

  #settled(): void {
    this.#unsettled -= 1;
    this.#pump();
  }

  override _final(done: (e?: Error | null) => void): void {
    if (!this.#taken) this.raw.end();
    done();
  }

  override _destroy(error: Error | null, done: (e?: Error | null) => void): void {
    this.#detach();
    this.#secrets.client?.fill(0);
    this.#secrets.server?.fill(0);
    if (!this.#taken) {
      this.raw.on("error", () => undefined); // it is over for us
      this.raw.destroy();
    }
    this.#done.reject(error ?? new Error("the connection was closed during the TLS handshake"));
    done(error);
  }

  #detach(): void {
    this.raw.removeListener("data", this.#onData);
    this.raw.removeListener("end", this.#onEnd);
    this.raw.removeListener("error", this.#onError);
    this.raw.removeListener("close", this.#onClose);
  }

  /**
   * After the peer has been found to be who it must be: TLS is let go, and its connection goes on as our records. Rejects when the connection
   * is lost meanwhile, or when the handshake did not bring what is needed; nothing is left open then.
   */
  async takeOver(tls: TLSSocket): Promise<RecordConnection> {
    try {
      await this.#done.promise;
      return this.#records(tls);
    } catch (e) {
      tls.destroy();
      this.destroy();
      throw e;
    }
  }

  #records(tls: TLSSocket): RecordConnection {
    const found = recordLayer();
    if ("error" in found) throw found.error;
    const { role } = this.#options;
    const suite = suiteOf(tls.getCipher().standardName);
    const { client, server } = this.#secrets;
    if (suite === undefined) throw new Error(`no record layer for ${tls.getCipher().standardName}`);
    if (client?.length !== suite.hashLength || server?.length !== suite.hashLength)
      throw new Error("the handshake told no traffic secrets");
    if (tls.getProtocol() !== "TLSv1.3") throw new Error(`no record layer for ${tls.getProtocol()}`);
    const { evp } = found.deps;
    const [ours, theirs] = role === "client" ? [client, server] : [server, client];
    const send = new Protection(evp, suite, { secret: ours, sequence: role === "server" ? this.#written.count : 0, encrypt: true });
    let receive: Protection;
    try {
      receive = new Protection(evp, suite, { secret: theirs, sequence: 0, encrypt: false });
    } catch (e) {
      send.end();
      throw e;
    }
    delete this.#secrets.client;
    delete this.#secrets.server;
    this.#detach();
    this.#taken = true;
    this.raw.pause();
    const end = (this.raw instanceof Socket ? tcpEnd(this.raw) : undefined) ?? duplexEnd(this.raw);
    tls.destroy();
    return new RecordConnection(end, { role, send, receive, early: this.#read }, found.deps);
  }
}
