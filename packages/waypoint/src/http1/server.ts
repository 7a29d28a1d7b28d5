// Who answers the HTTP/1.x requests of one connection, one after the other?

import { nextTick } from "node:process";
import type { Duplex } from "node:stream";
import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { patience } from "../bytes/patience.ts";
import type { ByteStream } from "../bytes/stream.ts";
import { connectionOptions, endToEnd, firstOf, joined, withField, without } from "../http/fields.ts";
import {
  type Body,
  type Counts,
  type Exchange,
  type ExchangeEnd,
  type HeaderFields,
  type HttpRequest,
  type HttpResponse,
  type Serve,
  textResponse,
} from "../http/message.ts";
import { readBody, type WriteFraming, writeBody } from "./body.ts";
import { type BadHead, hasNoContent, parseRequestHead, type RequestHead } from "./head.ts";
import { readHead } from "./read-head.ts";
import { responseHeadText } from "./serialize.ts";

export type Http1Options = {
  readonly serve: Serve;
  readonly world: Pick<World, "now" | "sleep">;
  readonly times: CallerTimes;
  /** Aborts when we shut down: answers then carry `Connection: close`, and idle connections are closed. */
  readonly drain: AbortSignal;
  /** A head that could not be read was answered with its status. */
  malformed(bad: BadHead): void;
  /** Closes a connection after its last answer. */
  linger(stream: Duplex): void;
  /** Joins the two sides of an upgraded connection until the signal cuts them; resolves at its end, with what broke it if anything did. */
  join(downstream: Duplex, upstream: Duplex, until: AbortSignal | undefined): Promise<Error | undefined>;
};

/** How long a caller may hold a connection without a request in flight. */
export type CallerTimes = {
  /** From the first bytes of a head to its end. */
  readonly headMs: number;
  readonly idleMs: number;
};

/** keep: another request may follow. close: the last answer is out. over: nothing is left to close. */
type After = "keep" | "close" | "over";

/** What the exchange's parts share while it lasts. */
type Turn = {
  readonly io: ByteStream;
  readonly head: RequestHead;
  readonly counts: Counts;
  bodyDone: boolean;
  bodyBegun: boolean;
};

const lost = (e: unknown): MeshError => new MeshError("CLIENT_GONE", "the caller's connection broke", e);

/**
 * The protocol to be tunnelled: a websocket (RFC 6455 section 4.1) and nothing else. What any other protocol carries would
 * pass routes and policies by: h2c above all, which brings further requests.
 */
const upgradeOf = (head: RequestHead): string | undefined => {
  const asked =
    head.minor === 1 && head.method === "GET" && head.framing.kind === "none" && connectionOptions(head.fields).includes("upgrade");
  return asked && joined(head.fields, "upgrade")?.toLowerCase() === "websocket" ? "websocket" : undefined;
};

/** The body, announced with 100 Continue when the caller waits for that and somebody reads it. */
const requestBody = (t: Turn): Body => {
  const raw = readBody(
    {
      io: t.io,
      fault: "PROTOCOL",
      lost: "CLIENT_GONE",
      done: () => {
        t.bodyDone = true;
      },
      cancelled: () => undefined,
      meter: (n) => {
        t.counts.received += n;
      },
    },
    t.head.framing,
  );
  const waits = t.head.minor === 1 && firstOf(t.head.fields, "expect")?.toLowerCase() === "100-continue";
  return {
    length: raw.length,
    read: async () => {
      if (!t.bodyBegun && waits && !t.bodyDone) await t.io.write(responseHeadText(100, []));
      t.bodyBegun = true;
      return raw.read();
    },
    trailers: raw.trailers,
    cancel: raw.cancel,
  };
};

const toRequest = (t: Turn): HttpRequest => ({
  method: t.head.method,
  scheme: "http",
  authority: t.head.authority,
  path: t.head.path,
  headers: endToEnd(without(without(t.head.fields, "host"), "expect")),
  body: requestBody(t),
  version: t.head.minor === 1 ? "HTTP/1.1" : "HTTP/1.0",
  upgrade: upgradeOf(t.head),
});

const framingFor = (t: Turn, r: HttpResponse): WriteFraming => {
  if (hasNoContent(t.head.method, r.status)) return "none";
  if (r.body.length !== undefined) return "length";
  return t.head.minor === 1 ? "chunked" : "raw";
};

const answerFields = (r: HttpResponse, framing: WriteFraming, keep: boolean, minor: 0 | 1): HeaderFields => {
  let fields = endToEnd(r.headers);
  // HEAD and 304 tell the length of what they leave out; 204 has none to tell.
  if (framing === "length") fields = withField(fields, "content-length", String(r.body.length));
  else if (framing !== "none" || r.status === 204) fields = without(fields, "content-length");
  if (framing === "chunked") fields = [...fields, ["transfer-encoding", "chunked"]];
  return keep || minor === 0 ? fields : [...fields, ["connection", "close"]];
};

const writeAnswer = async (t: Turn, r: HttpResponse, draining: boolean): Promise<After> => {
  const framing = framingFor(t, r);
  const asksClose = t.head.minor === 0 || connectionOptions(t.head.fields).includes("close");
  // A body that nobody began to read may be endless: the next request cannot be found behind it.
  const keep = !asksClose && !draining && framing !== "raw" && (t.bodyDone || t.bodyBegun);
  const head = responseHeadText(r.status, answerFields(r, framing, keep, t.head.minor));
  t.counts.sentHead += head.length;
  // The head leaves together with content that is already here.
  t.io.cork();
  nextTick(() => t.io.uncork());
  const wait = t.io.write(head);
  if (wait !== undefined) await wait;
  await writeBody(t.io, r.body, framing, (n) => {
    t.counts.sent += n;
  });
  return keep && t.bodyDone ? "keep" : "close";
};

const switchProtocols = async (t: Turn, r: HttpResponse, upstream: ByteStream, o: Http1Options): Promise<ExchangeEnd> => {
  const head = responseHeadText(101, [...endToEnd(r.headers), ["connection", "upgrade"], ["upgrade", upgradeOf(t.head) ?? ""]]);
  t.counts.sentHead += head.length;
  await t.io.write(head);
  return { failure: await o.join(t.io.release(), upstream.release(), r.until) };
};

const answer = async (t: Turn, exchange: Exchange, o: Http1Options): Promise<{ after: After; end: ExchangeEnd }> => {
  const r = await o.serve(exchange);
  try {
    if (r.upgraded !== undefined) return { after: "over", end: await switchProtocols(t, r, r.upgraded, o) };
    return { after: await writeAnswer(t, r, o.drain.aborted), end: { failure: undefined } };
  } catch (e) {
    // The head may be out: only cutting the connection tells the caller that the answer is not whole.
    r.body.cancel();
    r.upgraded?.destroy();
    t.io.destroy(e instanceof Error ? e : undefined);
    return { after: "over", end: { failure: e instanceof MeshError ? e : lost(e) } };
  }
};

const takeTurn = async (
  io: ByteStream,
  found: { head: RequestHead; bytes: number },
  gone: AbortSignal,
  o: Http1Options,
): Promise<After> => {
  const t: Turn = {
    io,
    head: found.head,
    counts: { received: 0, sent: 0, receivedHead: found.bytes, sentHead: 0 },
    bodyDone: false,
    bodyBegun: false,
  };
  const ended = Promise.withResolvers<ExchangeEnd>();
  const exchange: Exchange = {
    request: toRequest(t),
    signal: gone,
    interim: (status, headers) => {
      // A broken connection shows at the answer itself.
      if (t.head.minor === 1) io.write(responseHeadText(status, endToEnd(headers)))?.catch(() => undefined);
    },
    ended: ended.promise,
    counts: t.counts,
  };
  const { after, end } = await answer(t, exchange, o);
  ended.resolve(end);
  return after;
};

const refuse = (io: ByteStream, b: BadHead, o: Http1Options): Promise<void> | undefined => {
  o.malformed(b);
  const r = textResponse(b.status, b.reason);
  return io.write(responseHeadText(r.status, [...r.headers, ["connection", "close"]]) + b.reason);
};

const TOO_SLOW: BadHead = { kind: "bad", status: 408, reason: "the request's head did not come in time" };

/** Serves until the caller ends, breaks HTTP's rules, or asks to close. Never rejects. */
export const serveHttp1 = async (io: ByteStream, o: Http1Options): Promise<void> => {
  // A caller that closes while waiting has gone: as in Envoy and Go, an HTTP caller's half-close is not "still listening".
  const gone = new AbortController();
  io.onPeerEnd(() => gone.abort(new MeshError("CLIENT_GONE", "the caller closed before the answer")));
  let state: "idle" | "head" | "busy" | "left" = "idle";
  const left = (): boolean => state === "left";
  const leave = (): void => {
    if (!left()) o.linger(io.release());
    state = "left";
  };
  using times = patience(o.world, () => {
    // What the caller does not read any more, it need not be told.
    if (state === "head") refuse(io, TOO_SLOW, o)?.catch(() => undefined);
    leave();
  });
  const onHeadBegun = (): void => {
    state = "head";
    times.wait(o.times.headMs);
  };
  const onDrain = (): void => {
    if (state !== "busy") leave();
  };
  o.drain.addEventListener("abort", onDrain, { once: true });
  try {
    for (let after: After = "keep"; after === "keep"; ) {
      state = "idle";
      times.wait(o.times.idleMs);
      const found = await readHead(io, parseRequestHead, onHeadBegun);
      state = "busy";
      times.wait(undefined);
      if (found.kind === "bad") await refuse(io, found, o);
      after = found.kind === "head" ? await takeTurn(io, found, gone.signal, o) : "close";
      if (after === "over") return;
    }
    leave();
  } catch {
    // Between two exchanges a broken connection is an ordinary end; one that was left is not ours any more.
    if (!left()) io.destroy();
  } finally {
    o.drain.removeEventListener("abort", onDrain);
  }
};
