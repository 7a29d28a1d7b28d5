// What does a peer ask of us with a CONNECT, and how is it answered once?

import type { SocketAddr } from "../addr/socket.ts";
import { EndDuplex } from "../copy/duplex.ts";
import { asMeshError } from "../errors/mesh-error.ts";
import type { SpiffeId } from "../identity/spiffe.ts";
import type { RequestHead } from "./h2/fields.ts";
import type { H2Stream } from "./h2/stream.ts";
import type { TunnelRequest } from "./types.ts";

export type Ends = { readonly peer: SpiffeId; readonly remote: SocketAddr; readonly local: SocketAddr };
export type AnsweredRequest = TunnelRequest & { answered(): boolean };

/** The stream as a request. A stream whose peer has gone may still be answered: it has no effect. */
export const tunnelRequest = (stream: H2Stream, head: RequestHead, ends: Ends): AnsweredRequest => {
  let gone: AbortController | undefined;
  let answered = false;
  const once = (): void => {
    if (answered) throw new Error("a tunnel request was answered twice");
    answered = true;
  };
  stream.onOver = () => gone?.abort(GONE);
  return {
    ...head,
    ...ends,
    get signal() {
      gone ??= new AbortController();
      if (stream.closed) gone.abort(GONE);
      return gone.signal;
    },
    answered: () => answered,
    open: (headers) => {
      once();
      stream.respond(200, headers, "tunnel");
      stream.onOver = undefined; // told by the tunnel itself from here on
      return stream;
    },
    accept: (headers) => {
      once();
      stream.respond(200, headers, "tunnel");
      return new EndDuplex(stream);
    },
    reject: (status, headers = {}) => {
      once();
      stream.respond(status, headers, "end");
    },
  };
};

const GONE = new Error("the peer gave the tunnel up");

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
