// Conversations that no honest peer would hold, and honest ones in any order; what must hold of both (used by tests only).

import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import fc from "fast-check";
import { realWorld } from "../../runtime/run.ts";
import { FRAME } from "./codes.ts";
import { TestSession, type TestStream } from "./fixture.ts";
import {
  FRAME_HEADER,
  goawayFrame,
  headersFrames,
  PREFACE,
  pingFrame,
  putHeader,
  resetFrame,
  settingsFrame,
  windowUpdateFrame,
} from "./frames.ts";
import { encodeBlock } from "./hpack/encode.ts";
import { CONNECTION_WINDOW } from "./settings.ts";

const raw = (type: number, flags: number, id: number, payload: Uint8Array): Buffer => {
  const out = Buffer.alloc(FRAME_HEADER + payload.length);
  putHeader(out, 0, { type, flags, id, length: payload.length });
  out.set(payload, FRAME_HEADER);
  return out;
};

const id = fc.oneof({ weight: 6, arbitrary: fc.constantFrom(1, 3, 5, 7, 9, 11) }, fc.constantFrom(0, 2, 4, 13, 0x7fffffff));
const flags = fc.oneof(fc.constantFrom(0, 1, 4, 5, 8, 9, 0x20, 0x2d), fc.integer({ min: 0, max: 255 }));
const code = fc.constantFrom("NO_ERROR", "CANCEL", "REFUSED_STREAM", "INTERNAL_ERROR" as const);
const increment = fc.oneof(fc.constantFrom(0, 1, 0x7fffffff), fc.integer({ min: 0, max: 100_000 }));
const request = fc.constantFrom(
  [
    [":method", "CONNECT"],
    [":authority", "10.0.0.9:80"],
  ] as const,
  [
    [":method", "GET"],
    [":scheme", "https"],
    [":path", "/"],
  ] as const,
  [[":method", "CONNECT"]] as const,
  [[":status", "200"]] as const,
  [["x-trailer", "1"]] as const,
);

/** One frame, more often right than wrong. */
const frame: fc.Arbitrary<Buffer> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(id, request, fc.boolean())
      .map(([i, f, end]) => headersFrames(i, encodeBlock(f, false), { endStream: end, maxFrame: 16_384 })),
  },
  { weight: 6, arbitrary: fc.tuple(flags, id, fc.uint8Array({ maxLength: 300 })).map(([f, i, p]) => raw(FRAME.DATA, f, i, p)) },
  { weight: 1, arbitrary: fc.tuple(id, fc.integer({ min: 0, max: 1 << 20 })).map(([i, n]) => raw(FRAME.DATA, 0, i, new Uint8Array(n))) },
  { weight: 3, arbitrary: fc.tuple(id, increment).map(([i, n]) => windowUpdateFrame(i, n)) },
  { weight: 3, arbitrary: fc.tuple(id, code).map(([i, c]) => resetFrame(i, c)) },
  { weight: 2, arbitrary: fc.tuple(fc.integer({ min: 0, max: 8 }), increment).map(([k, v]) => settingsFrame(new Map([[k, v]]))) },
  { weight: 1, arbitrary: fc.constantFrom("ack", "ask" as const).map((a) => pingFrame(Buffer.alloc(8), a)) },
  { weight: 1, arbitrary: fc.tuple(id, code).map(([i, c]) => goawayFrame(i, c)) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.integer({ min: 0, max: 12 }), flags, id, fc.uint8Array({ maxLength: 60 }))
      .map(([t, f, i, p]) => raw(t, f, i, p)),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((b) => Buffer.from(b)) },
);

/** What a peer says after its preface and SETTINGS, in the pieces it comes in. */
export const conversation = fc.record({ frames: fc.array(frame, { maxLength: 40 }), cuts: fc.array(fc.nat(20_000), { maxLength: 20 }) });
export type Conversation = typeof conversation extends fc.Arbitrary<infer T> ? T : never;

/** What arrives at one end is what was written at the other, cut elsewhere. */
const wire = (sizes: readonly number[]): [Duplex, Duplex] => {
  let at = 0;
  const end = (peer: () => Duplex): Duplex =>
    new Duplex({
      // A socket's own: what is told to end may still read.
      allowHalfOpen: true,
      read: () => undefined,
      write: (chunk: Buffer, _e, done) => {
        // Later, as from a network; a copy, because a socket's bytes are free again when they are written.
        const copy = Buffer.from(chunk);
        setImmediate(() => {
          for (let from = 0; from < copy.length; ) {
            const n = 1 + (sizes[at++ % sizes.length] ?? 0);
            if (!peer().destroyed) peer().push(copy.subarray(from, from + n));
            from += n;
          }
          done();
        });
      },
      final: (done) => {
        setImmediate(() => {
          if (!peer().destroyed) peer().push(null);
        });
        done();
      },
    });
  const a: Duplex = end(() => b);
  const b: Duplex = end(() => a);
  return [a, b];
};
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const turns = async (n: number): Promise<void> => {
  for (let i = 0; i < n; i++) await turn();
};

/** Whatever a peer says, the session stands or ends in order; what it holds is bounded; its streams are all told. Throws otherwise. */
export const survives = async ({ frames, cuts }: Conversation, role: "client" | "server"): Promise<void> => {
  const [ours, theirs] = wire([1_000_000]);
  theirs.on("error", () => undefined);
  theirs.resume();
  const session = new TestSession(ours, { role, world: realWorld(), maxStreams: 3 });
  const streams: TestStream[] = [];
  const mind = (stream: TestStream): void => {
    streams.push(stream);
    stream.on("error", () => undefined);
  };
  session.on("request", (stream, head) => {
    mind(stream);
    if (head.method !== "CONNECT") return void stream.respond(400, {}, "end");
    stream.respond(200, {}, "tunnel");
    // Some are read, some are not, some are cut.
    if (stream.id % 3 === 0) stream.pipe(stream);
    else if (stream.id % 5 === 0) stream.destroy();
  });
  let closed = 0;
  session.on("close", () => {
    closed += 1;
  });
  if (role === "client") for (let i = 0; i < 3; i++) mind(session.connect("10.0.0.9:80", {}, () => undefined));
  const bytes = Buffer.concat([...(role === "server" ? [PREFACE] : []), settingsFrame(new Map()), ...frames]);
  const bounds = [0, ...cuts.map((c) => Math.min(c, bytes.length)).sort((a, b) => a - b), bytes.length];
  for (const [i, end] of bounds.slice(1).entries())
    if (!theirs.destroyed && !theirs.writableEnded) theirs.write(bytes.subarray(bounds[i], end));
  await turns(8);
  const held = streams.reduce((n, s) => n + s.held, 0);
  assert.ok(held <= 2 * CONNECTION_WINDOW, `${held} octets held`);
  session.destroy();
  theirs.destroy();
  await turns(3);
  assert.equal(closed, 1);
  assert.equal(session.streams, 0);
  for (const s of streams) assert.ok(s.destroyed || s.remoteEnded, `stream ${s.id} was not told`);
};

/** What one end does with a tunnel, in order. */
const deed = fc.oneof(
  { weight: 6, arbitrary: fc.record({ t: fc.constant("write" as const), n: fc.oneof(fc.nat(50), fc.nat(200_000)) }) },
  { weight: 2, arbitrary: fc.record({ t: fc.constant("pause" as const), n: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ t: fc.constant("end" as const), n: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ t: fc.constant("cut" as const), n: fc.constant(0) }) },
);
const life = fc.record({ near: fc.array(deed, { maxLength: 12 }), far: fc.array(deed, { maxLength: 12 }) });
export const lives = fc.record({
  all: fc.array(life, { minLength: 1, maxLength: 6 }),
  sizes: fc.array(fc.nat(30_000), { minLength: 1, maxLength: 8 }),
});
export type Lives = typeof lives extends fc.Arbitrary<infer T> ? T : never;
type Deed = typeof deed extends fc.Arbitrary<infer T> ? T : never;

/** One end of a tunnel: what it wrote, what it read, how it went. Octets count up, so that a lost or doubled one shows. */
class End {
  wrote = 0;
  read = 0;
  ended = false;
  saidEnd = false;
  cut = false;
  broken: string | undefined;
  readonly stream: TestStream;

  constructor(stream: TestStream) {
    this.stream = stream;
    stream.on("error", () => {
      this.cut = true;
    });
    stream.on("data", (c: Buffer) => {
      for (const b of c) {
        if (b !== this.read % 251) this.broken ??= `octet ${this.read} is ${b}`;
        this.read += 1;
      }
    });
    stream.once("end", () => {
      this.ended = true;
    });
  }

  async run(deeds: readonly Deed[]): Promise<void> {
    for (const { t, n } of deeds) {
      if (this.stream.destroyed || this.saidEnd) return;
      if (t === "write") {
        const chunk = Buffer.allocUnsafe(n);
        for (let i = 0; i < n; i++) chunk[i] = (this.wrote + i) % 251;
        this.wrote += n;
        this.stream.write(chunk);
      } else if (t === "pause") {
        this.stream.pause();
        await turns(n);
        this.stream.resume();
      } else if (t === "end") {
        this.saidEnd = true;
        this.stream.end();
      } else {
        this.cut = true;
        this.stream.destroy();
      }
    }
    // Whoever has nothing more to do says so.
    if (!this.saidEnd && !this.stream.destroyed) {
      this.saidEnd = true;
      this.stream.end();
    }
  }
}

const checkEnds = (a: End, b: End): void => {
  assert.equal(a.broken, undefined);
  assert.ok(a.read <= b.wrote, "more was read than written");
  if (a.ended) assert.deepEqual([b.saidEnd, a.read], [true, b.wrote], "an end is the whole");
  if (!a.cut && !b.cut) assert.ok(a.ended, "an uncut half ends");
};

/** Two ends of ours, any number of tunnels, any order of deeds, any cutting of the bytes between them. Throws when a tunnel is not like TCP. */
export const carries = async ({ all, sizes }: Lives): Promise<void> => {
  const [one, two] = wire(sizes);
  const world = realWorld();
  const server = new TestSession(one, { role: "server", world, maxStreams: 100 });
  const client = new TestSession(two, { role: "client", world, maxStreams: 0 });
  const pairs: [End, End][] = [];
  const running: Promise<void>[] = [];
  server.on("request", (stream, head) => {
    const which = Number(head.headers.which);
    stream.respond(200, {}, "tunnel");
    const far = new End(stream);
    const near = nears[which];
    assert.ok(near !== undefined);
    pairs.push([near, far]);
    running.push(far.run(all[which]?.far ?? []));
  });
  const nears = all.map((l, i) => {
    const near = new End(client.connect("10.0.0.9:80", { which: String(i) }, () => undefined));
    running.push(near.run(l.near));
    return near;
  });
  const done = (): boolean => nears.every((n) => n.stream.destroyed) && pairs.every(([, f]) => f.stream.destroyed);
  for (let i = 0; i < 100_000 && !done(); i++) await turn();
  assert.ok(done(), "some tunnel never closed");
  await Promise.all(running);
  for (const [near, far] of pairs) {
    checkEnds(near, far);
    checkEnds(far, near);
  }
  assert.deepEqual([client.streams, server.streams, client.destroyed, server.destroyed], [0, 0, false, false]);
  client.close();
  for (let i = 0; i < 1000 && !(client.destroyed && server.destroyed); i++) await turn();
  assert.ok(server.destroyed, "the server's side stays open");
  one.destroy();
  two.destroy();
};
