// How is one tunnel opened on a connection: CONNECT, and the peer's answer?

import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2";
import { asMeshError, MeshError } from "../errors/mesh-error.ts";
import type { World } from "../runtime/world.ts";
import { plainHeaders } from "./request.ts";
import { tunnelOf } from "./stream.ts";
import type { TunnelHeaders, TunnelStream } from "./types.ts";

/** The peer has not looked at the request (RFC 9113 section 8.7): it may be sent again on another connection. */
export class NotProcessed extends Error {}

export type Opening = {
  readonly session: ClientHttp2Session;
  readonly request: { readonly authority: string; readonly headers: TunnelHeaders };
  readonly world: World;
  readonly answerMs: number;
  readonly signal: AbortSignal | undefined;
};

const begin = ({ session, request }: Opening): ClientHttp2Stream => {
  if (session.destroyed || session.closed) throw new NotProcessed("the connection is closing");
  try {
    return session.request({ ...request.headers, ":method": "CONNECT", ":authority": request.authority }, { endStream: false });
  } catch (e) {
    if (session.destroyed || session.closed) throw new NotProcessed("the connection is closing");
    throw new MeshError("PROTOCOL", `the CONNECT for ${request.authority} cannot be sent`, e);
  }
};

type Answer = Pick<TunnelStream, "stream" | "headers">;

/** Resolves with the open tunnel. `onClosed` is called once when the stream is over, whatever became of it. */
export const openTunnel = (opening: Opening, onClosed: () => void): Promise<Answer> =>
  new Promise((resolve, reject) => {
    let stream: ClientHttp2Stream;
    try {
      stream = begin(opening);
    } catch (e) {
      onClosed();
      return reject(e);
    }
    const { request, signal, world, answerMs } = opening;
    const settled = new AbortController();
    let failure: Error | undefined;
    const fail = (e: unknown): void => {
      settled.abort();
      if (!stream.closed) stream.close(constants.NGHTTP2_CANCEL);
      reject(e);
    };
    const onAbort = (): void => fail(asMeshError(signal?.reason, "CLIENT_GONE"));
    const closedEarly = (): void =>
      fail(
        stream.rstCode === constants.NGHTTP2_REFUSED_STREAM || stream.id === undefined
          ? new NotProcessed("the peer refused the stream")
          : new MeshError("H2_HANDSHAKE", `the peer closed the tunnel to ${request.authority} before it answered`, failure),
      );
    // After the answer the tunnel's own stream reports failures; here they are the cause of closing early.
    stream.on("error", (e) => {
      failure = e;
    });
    stream.once("close", onClosed);
    stream.once("close", closedEarly);
    settled.signal.addEventListener("abort", () => {
      stream.removeListener("close", closedEarly);
      signal?.removeEventListener("abort", onAbort);
    });
    stream.once("response", (headers) => {
      const status = headers[":status"];
      if (status !== 200) return fail(new MeshError("HTTP_STATUS", `the peer answered ${status} to CONNECT ${request.authority}`));
      settled.abort();
      resolve({ stream: tunnelOf(stream), headers: plainHeaders(headers) });
    });
    void world.sleep(answerMs, settled.signal).then(
      () => fail(new MeshError("H2_HANDSHAKE", `the peer did not answer CONNECT ${request.authority} within ${answerMs} ms`)),
      () => undefined,
    );
    if (signal?.aborted) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true });
  });
