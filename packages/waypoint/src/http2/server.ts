// Who answers the HTTP/2 requests of one connection (prior knowledge)?

import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { constants, performServerHandshake } from "node:http2";
import type { Duplex } from "node:stream";
import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { patience } from "../bytes/patience.ts";
import { byteStream } from "../bytes/stream.ts";
import { endToEnd, firstOf, unframed, withField } from "../http/fields.ts";
import type { Counts, Exchange, ExchangeEnd, HeaderFields, HttpRequest, HttpResponse, Serve } from "../http/message.ts";
import { HEAD_LIMITS, hasNoContent } from "../http1/head.ts";
import { readH2Body, writeH2Body } from "./body.ts";
import { type H2RequestHead, readRequest, toRaw } from "./fields.ts";

export type Http2Options = {
  readonly serve: Serve;
  readonly world: Pick<World, "now" | "sleep">;
  /** How long a caller may hold the connection without a stream. */
  readonly idleMs: number;
  /** Aborts when we shut down: GOAWAY, running streams finish. */
  readonly drain: AbortSignal;
  /** A header list that stands for no request was refused. */
  malformed(reason: string): void;
};

/** The window bounds what one stream may hold here when its reader is slow. */
const WINDOW = 256 * 1024;
const SESSION_WINDOW = 1024 * 1024;
export const H2_SETTINGS = {
  initialWindowSize: WINDOW,
  maxConcurrentStreams: 1000,
  maxHeaderListSize: HEAD_LIMITS.bytes,
  enablePush: false,
};

/** An option of node:http2 that its types do not know: no Date of our own. */
const AS_IT_IS = { sendDate: false };

type Turn = { readonly stream: ServerHttp2Stream; readonly counts: Counts };

const headBytes = (raw: readonly string[]): number => raw.reduce((sum, text) => sum + text.length, 0);

/** The length is that of the content that follows; HEAD and 304 tell the length of what they leave out. */
const answerFields = (method: string, r: HttpResponse): HeaderFields => {
  const fields = endToEnd(r.headers);
  if (hasNoContent(method, r.status) || firstOf(fields, "content-length") === undefined) return fields;
  return r.body.length === undefined ? unframed(fields) : withField(fields, "content-length", String(r.body.length));
};

const writeAnswer = async (t: Turn, io: ReturnType<typeof byteStream>, method: string, r: HttpResponse): Promise<void> => {
  if (t.stream.destroyed) throw new MeshError("CLIENT_GONE", "the caller reset the stream");
  const bare = hasNoContent(method, r.status) || r.body.length === 0;
  const raw = toRaw([[":status", String(r.status)], ...answerFields(method, r)]);
  t.counts.sentHead += headBytes(raw);
  t.stream.respond(raw, { ...AS_IT_IS, ...(bare ? { endStream: true } : { waitForTrailers: true }) });
  if (bare) return;
  await writeH2Body({ stream: t.stream, io }, r.body, (n) => {
    t.counts.sent += n;
  });
};

const takeTurn = async (stream: ServerHttp2Stream, head: H2RequestHead, received: number, o: Http2Options): Promise<void> => {
  const t: Turn = { stream, counts: { received: 0, sent: 0, receivedHead: received, sentHead: 0 } };
  const io = byteStream(stream);
  const gone = new AbortController();
  const ended = Promise.withResolvers<ExchangeEnd>();
  const onClose = (): void => gone.abort(new MeshError("CLIENT_GONE", `the caller reset the stream (code ${stream.rstCode ?? 0})`));
  stream.once("close", onClose);
  const meter = (n: number): void => {
    t.counts.received += n;
  };
  const request: HttpRequest = {
    method: head.method,
    scheme: head.scheme,
    authority: head.authority,
    path: head.path,
    headers: head.fields,
    body: readH2Body({ stream, io, length: head.length, lost: "CLIENT_GONE", meter, cancelled: () => undefined }),
    version: "HTTP/2",
    upgrade: undefined,
  };
  const exchange: Exchange = {
    request,
    signal: gone.signal,
    interim: (status, fields) => {
      if (!stream.destroyed && !stream.headersSent)
        stream.additionalHeaders({ ":status": status, ...Object.fromEntries(endToEnd(fields)) });
    },
    ended: ended.promise,
    counts: t.counts,
  };
  const r = await o.serve(exchange);
  try {
    await writeAnswer(t, io, head.method, r);
    stream.off("close", onClose);
    // The answer is whole; what the caller still sends is not wanted (RFC 9113 section 8.1).
    if (!stream.readableEnded && head.length !== 0) stream.close(constants.NGHTTP2_NO_ERROR);
    ended.resolve({ failure: undefined });
  } catch (e) {
    r.body.cancel();
    r.upgraded?.destroy();
    const failure = e instanceof MeshError ? e : new MeshError("CLIENT_GONE", "the caller's stream broke", e);
    if (!stream.closed) io.destroy(failure);
    ended.resolve({ failure });
  }
};

const onStream = (stream: ServerHttp2Stream, raw: readonly string[], flags: number, o: Http2Options): void => {
  stream.on("error", () => undefined); // told by the stream's reader and writer
  const head = readRequest(raw, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0);
  if (typeof head === "string") {
    o.malformed(head);
    stream.respond([":status", "400"], { endStream: true });
    return;
  }
  void takeTurn(stream, head, headBytes(raw), o);
};

/** Serves the connection's streams; resolves when the session is closed. Never rejects. */
export const serveHttp2 = (duplex: Duplex, o: Http2Options): Promise<void> =>
  new Promise((resolve) => {
    const session: ServerHttp2Session = performServerHandshake(duplex, {
      settings: H2_SETTINGS,
      maxHeaderListPairs: HEAD_LIMITS.fields + 6,
    });
    const onDrain = (): void => session.close();
    const times = patience(o.world, () => session.close());
    let streams = 0;
    times.wait(o.idleMs);
    session.setLocalWindowSize(SESSION_WINDOW);
    session.on("stream", (stream: ServerHttp2Stream, _h: IncomingHttpHeaders, flags: number, raw: readonly string[]) => {
      streams += 1;
      times.wait(undefined);
      stream.once("close", () => {
        streams -= 1;
        if (streams === 0) times.wait(o.idleMs);
      });
      onStream(stream, raw, flags, o);
    });
    session.on("error", () => session.destroy());
    session.once("close", () => {
      times[Symbol.dispose]();
      o.drain.removeEventListener("abort", onDrain);
      duplex.destroy();
      resolve();
    });
    if (o.drain.aborted) onDrain();
    else o.drain.addEventListener("abort", onDrain, { once: true });
  });
