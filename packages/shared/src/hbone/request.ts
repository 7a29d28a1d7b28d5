// What does a peer ask of us with a CONNECT, and how is it answered once?

import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { SocketAddr } from "../addr/socket.ts";
import { asMeshError } from "../errors/mesh-error.ts";
import type { SpiffeId } from "../identity/spiffe.ts";
import { tunnelOf } from "./stream.ts";
import type { TunnelHeaders, TunnelRequest } from "./types.ts";

export type Ends = { readonly peer: SpiffeId; readonly remote: SocketAddr; readonly local: SocketAddr };
export type AnsweredRequest = TunnelRequest & { answered(): boolean };

/** The regular headers; several values of one name are joined by ", ". */
export const plainHeaders = (headers: IncomingHttpHeaders): TunnelHeaders =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      name.startsWith(":") || value === undefined ? [] : [[name, Array.isArray(value) ? value.join(", ") : value]],
    ),
  );

/** The stream as a request. A stream whose peer has gone may still be answered: it has no effect. */
export const tunnelRequest = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, ends: Ends): AnsweredRequest => {
  const gone = new AbortController();
  let answered = false;
  const once = (): void => {
    if (answered) throw new Error("a tunnel request was answered twice");
    answered = true;
  };
  const ignore = (): void => undefined;
  // Until it is accepted nobody else listens; a failure then is told by `signal`.
  stream.on("error", ignore);
  stream.once("close", () => gone.abort(new Error("the peer gave the tunnel up")));
  return {
    method: String(headers[":method"] ?? ""),
    authority: String(headers[":authority"] ?? ""),
    headers: plainHeaders(headers),
    ...ends,
    signal: gone.signal,
    answered: () => answered,
    accept: (extra) => {
      once();
      if (!stream.destroyed && !stream.closed) {
        stream.respond({ ...extra, ":status": 200 });
        // Marks the stream as read: without it node:http2 closes a stream that is answered in full before anyone has read it.
        stream.read(0);
      }
      return tunnelOf(stream);
    },
    reject: (status, extra = {}) => {
      once();
      if (stream.destroyed || stream.closed) return;
      // node:http2 itself closes a stream that is answered in full and whose body nobody reads; closing here would outrun the answer.
      stream.respond({ ...extra, ":status": status }, { endStream: true });
    },
  };
};

/** Hands the request over; a throw becomes its code's status. */
export const answer = (
  request: AnsweredRequest,
  onRequest: (request: TunnelRequest) => Promise<void> | void,
  log: (event: string, fields: object) => void,
): void => {
  const failed = (e: unknown): void => {
    const error = asMeshError(e, "CONNECT");
    log("tunnel request failed", { peer: request.peer.uri, authority: request.authority, code: error.code, error: error.message });
    if (!request.answered()) request.reject(error.rescue.hbone);
  };
  try {
    const pending = onRequest(request);
    if (pending !== undefined) pending.catch(failed);
  } catch (e) {
    failed(e);
  }
};
