// How is one tunnel opened on a connection: CONNECT, and the peer's answer?

import { asMeshError, MeshError } from "../errors/mesh-error.ts";
import type { World } from "../runtime/world.ts";
import { saysElsewhere } from "./elsewhere.ts";
import type { AnswerHead } from "./h2/fields.ts";
import type { H2Session } from "./h2/session.ts";
import { type H2Stream, StreamReset } from "./h2/stream.ts";
import type { TunnelHeaders, TunnelStream } from "./types.ts";

/** The peer has not looked at the request (RFC 9113 section 8.7): it may be sent again on another connection. */
export class NotProcessed extends Error {}

export type Opening = {
  readonly session: H2Session;
  readonly request: { readonly authority: string; readonly headers: TunnelHeaders };
  readonly world: World;
  readonly answerMs: number;
  readonly signal: AbortSignal | undefined;
};

const begin = ({ session, request }: Opening, onAnswer: (head: AnswerHead) => void): H2Stream => {
  try {
    return session.connect(request.authority, request.headers, onAnswer);
  } catch (e) {
    if (e instanceof StreamReset) throw new NotProcessed(e.message);
    throw new MeshError("PROTOCOL", `the CONNECT for ${request.authority} cannot be sent`, e);
  }
};

type Answer = Pick<TunnelStream, "stream" | "headers">;

/** Resolves with the open tunnel. `onClosed` is called once when the stream is over, whatever became of it. */
export const openTunnel = (opening: Opening, onClosed: () => void): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const { request, signal, world, answerMs } = opening;
    const settled = new AbortController();
    let failure: Error | undefined;
    const onAnswer = ({ status, headers }: AnswerHead): void => {
      if (saysElsewhere(status, headers))
        return void fail(new MeshError("ELSEWHERE", `the peer asks to take CONNECT ${request.authority} elsewhere`, undefined, { status }));
      if (status !== 200)
        return void fail(new MeshError("HTTP_STATUS", `the peer answered ${status} to CONNECT ${request.authority}`, undefined, { status }));
      settled.abort();
      resolve({ stream, headers });
    };
    let stream: H2Stream;
    try {
      stream = begin(opening, onAnswer);
    } catch (e) {
      onClosed();
      return reject(e);
    }
    const fail = (e: unknown): void => {
      settled.abort();
      stream.destroy();
      reject(e);
    };
    const onAbort = (): void => fail(asMeshError(signal?.reason, "CLIENT_GONE"));
    const closedEarly = (): void =>
      fail(
        failure instanceof StreamReset && failure.refused
          ? new NotProcessed(failure.message)
          : new MeshError("H2_HANDSHAKE", `the peer closed the tunnel to ${request.authority} before it answered`, failure),
      );
    // Until the caller has the stream and listens itself; a failure before the answer is the cause of closing early.
    stream.on("error", (e) => {
      failure = e;
    });
    stream.once("close", onClosed);
    stream.once("close", closedEarly);
    settled.signal.addEventListener("abort", () => {
      stream.removeListener("close", closedEarly);
      signal?.removeEventListener("abort", onAbort);
    });
    void world.sleep(answerMs, settled.signal).then(
      () => fail(new MeshError("H2_HANDSHAKE", `the peer did not answer CONNECT ${request.authority} within ${answerMs} ms`)),
      () => undefined,
    );
    if (signal?.aborted) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true });
  });
