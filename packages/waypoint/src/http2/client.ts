// Who sends HTTP/2 requests over one connection (prior knowledge) and reads the answers?

import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import { connect, constants } from "node:http2";
import type { Duplex } from "node:stream";
import { asMeshError, MeshError } from "@ambit/shared/errors/mesh-error.ts";
import { type ByteStream, byteStream } from "../bytes/stream.ts";
import { isFieldValue, isToken, unframed } from "../http/fields.ts";
import { emptyBody, type HeaderFields, type HttpResponse } from "../http/message.ts";
import { hasNoContent } from "../http1/head.ts";
import type { Outcome, Outgoing } from "../upstream/outcome.ts";
import { readH2Body, writeH2Body } from "./body.ts";
import { fromRaw, readResponse, toRaw } from "./fields.ts";
import { H2_SETTINGS } from "./server.ts";

export type Http2Client = {
  /** `over` is called once, when the stream is closed. */
  send(request: Outgoing, signal: AbortSignal, over: () => void): Promise<Outcome>;
  /** May carry one more stream. */
  readonly open: boolean;
  readonly streams: number;
  onClosed(listener: () => void): void;
  /** Asks the backend for a sign of life when it is time to, and cuts the session when none came. To be called now and then. */
  tend(now: number): void;
  /** No new streams; closes when the running ones are through. */
  drain(): void;
  close(): void;
};

const SESSION_WINDOW = 1024 * 1024;
/** As Istio's tunnels: a backend whose node has gone sends no reset, and every request would wait for it. */
const PING_EVERY_MS = 10_000;
const PING_TIMEOUT_MS = 20_000;
/** A stream that was never processed (RFC 9113 section 8.7): safe to send again whatever the method. */
const notProcessed = (code: number | undefined): boolean => code === constants.NGHTTP2_REFUSED_STREAM;

const headList = (r: Outgoing): string[] | MeshError => {
  const fields: HeaderFields = [
    [":method", r.method],
    [":path", r.path],
    [":scheme", r.scheme],
    ...(r.authority === "" ? [] : ([[":authority", r.authority]] as const)),
    ...unframed(r.headers),
    ...(r.body.length === undefined || r.body.length === 0 ? [] : ([["content-length", String(r.body.length)]] as const)),
  ];
  const odd = fields.find(([n, v]) => !isFieldValue(v) || !(n.startsWith(":") || isToken(n)));
  return odd === undefined ? toRaw(fields) : new MeshError("PROTOCOL", `the header ${JSON.stringify(odd[0])} cannot be sent`);
};

type Answer = { readonly raw: readonly string[]; readonly flags: number };

/** The final head, or the error the stream ended with before one came. */
const awaitAnswer = (stream: ClientHttp2Stream, r: Outgoing): Promise<Answer | MeshError> =>
  new Promise((resolve) => {
    let cause: unknown;
    stream.on("headers", (headers: IncomingHttpHeaders & { ":status"?: number }, _flags: number, raw: readonly string[]) => {
      const status = Number(headers[":status"] ?? 0);
      // 100 answers an Expect that we did not wait for; there is no 101 in HTTP/2 (RFC 9113 section 8.6).
      if (status > 101)
        r.interim(
          status,
          fromRaw(raw ?? []).filter(([n]) => !n.startsWith(":")),
        );
    });
    stream.once("response", (_h: unknown, flags: number, raw: readonly string[]) => resolve({ raw, flags }));
    stream.on("error", (e: Error) => {
      cause = e;
    });
    stream.once("close", () =>
      resolve(
        new MeshError("UPSTREAM_RESET", `the backend reset the stream before it answered (code ${stream.rstCode ?? "unknown"})`, cause),
      ),
    );
  });

const toResponse = (stream: ClientHttp2Stream, io: ByteStream, answer: Answer, method: string): HttpResponse => {
  const endStream = (answer.flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
  const head = readResponse(answer.raw, endStream);
  if (endStream || hasNoContent(method, head.status)) {
    // A head that ends the stream is all there is; anything else still has an (empty) end to be read.
    stream.resume();
    return { status: head.status, headers: head.fields, body: emptyBody };
  }
  const cancelled = (): void => io.destroy(new MeshError("CLIENT_GONE", "the answer is not wanted any more"));
  const body = readH2Body({ stream, io, length: head.length, lost: "UPSTREAM_RESET", meter: () => undefined, cancelled });
  return { status: head.status, headers: head.fields, body };
};

const failed = (error: MeshError, processed: "no" | "maybe"): Outcome => ({ kind: "failed", error, processed, reused: false });

const exchange = async (session: ClientHttp2Session, r: Outgoing, use: { signal: AbortSignal; over: () => void }): Promise<Outcome> => {
  const { signal, over } = use;
  const list = headList(r);
  const refusal =
    list instanceof MeshError
      ? list
      : signal.aborted
        ? asMeshError(signal.reason, "CLIENT_GONE")
        : session.closed || session.destroyed
          ? new MeshError("UPSTREAM_RESET", "the backend is closing the connection")
          : undefined;
  if (refusal !== undefined || list instanceof MeshError) {
    over();
    return failed(refusal ?? new MeshError("PROTOCOL", "the request cannot be sent"), "no");
  }
  const bare = r.body.length === 0;
  const stream = session.request(list, bare ? { endStream: true } : { endStream: false, waitForTrailers: true });
  const io = byteStream(stream);
  const onAbort = (): void => io.destroy(asMeshError(signal.reason, "CLIENT_GONE"));
  signal.addEventListener("abort", onAbort, { once: true });
  stream.once("close", () => {
    signal.removeEventListener("abort", onAbort);
    over();
  });
  let broken: unknown;
  const answered = awaitAnswer(stream, r);
  if (!bare)
    writeH2Body({ stream, io }, r.body, () => undefined).catch((e: unknown) => {
      broken = e;
      // Only the caller's own failure makes the request unfinishable; a backend that stopped reading may still answer.
      if (e instanceof MeshError && !stream.closed && e.code !== "UPSTREAM_RESET") io.destroy(e);
    });
  const answer = await answered;
  if (!(answer instanceof MeshError)) return { kind: "response", response: toResponse(stream, io, answer, r.method) };
  if (signal.aborted) return failed(asMeshError(signal.reason, "CLIENT_GONE"), "maybe");
  if (broken instanceof MeshError && broken.code === "PROTOCOL") return failed(broken, "maybe");
  return failed(answer, notProcessed(stream.rstCode) ? "no" : "maybe");
};

/** PINGs of one session, by the clock of whoever calls. */
const pings = (session: ClientHttp2Session): ((now: number) => void) => {
  let last = Number.NEGATIVE_INFINITY;
  let waiting = false;
  return (now) => {
    if (session.destroyed) return;
    if (waiting) {
      if (now - last >= PING_TIMEOUT_MS) session.destroy(new Error(`the backend did not answer a PING within ${PING_TIMEOUT_MS} ms`));
      return;
    }
    if (now - last < PING_EVERY_MS) return;
    last = now;
    // Not sent (false): others wait for their answer already.
    waiting =
      session.ping((error) => {
        if (error === null) waiting = false;
      }) !== false;
  };
};

/** Takes the connection over. Errors show at the streams; the session's own end at `onClosed`. */
export const http2Client = (duplex: Duplex): Http2Client => {
  const session = connect("http://backend", { createConnection: () => duplex, settings: H2_SETTINGS });
  const listeners: (() => void)[] = [];
  let streams = 0;
  let over = false;
  const end = (): void => {
    if (over) return;
    over = true;
    for (const listener of listeners.splice(0)) listener();
  };
  session.on("error", end);
  session.on("goaway", end);
  session.on("close", () => {
    duplex.destroy();
    end();
  });
  session.once("connect", () => session.setLocalWindowSize(SESSION_WINDOW));
  return {
    send: (r, signal, over) => {
      streams += 1;
      let counted = true;
      const closed = (): void => {
        if (counted) streams -= 1;
        counted = false;
        over();
      };
      return exchange(session, r, { signal, over: closed }).catch((e: unknown) => {
        // What node:http2 itself will not send opens no stream that could close.
        closed();
        throw e;
      });
    },
    get open() {
      return (
        !over && !session.closed && !session.destroyed && streams < Math.min(1000, session.remoteSettings.maxConcurrentStreams ?? 1000)
      );
    },
    get streams() {
      return streams;
    },
    onClosed: (listener) => void listeners.push(listener),
    tend: pings(session),
    drain: () => session.close(),
    // Answers under way are cut with an error: without one they would look whole.
    close: () => session.destroy(streams === 0 ? undefined : new Error("the connection was closed")),
  };
};
