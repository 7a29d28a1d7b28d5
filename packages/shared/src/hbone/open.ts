// How is one tunnel opened on a connection: CONNECT, and the peer's answer?

import { EndDuplex } from "../copy/duplex.ts";
import type { End } from "../copy/end.ts";
import { asMeshError, MeshError } from "../errors/mesh-error.ts";
import type { SpiffeId } from "../identity/spiffe.ts";
import { deadline } from "../runtime/deadline.ts";
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

type Answer = { readonly end: H2Stream; readonly headers: TunnelHeaders };

/** Resolves with the open tunnel. `onClosed` is called once when the stream is over, whatever became of it. */
export const openTunnel = (opening: Opening, onClosed: () => void): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const { request, signal, world, answerMs } = opening;
    let settled = false;
    const settle = (): void => {
      settled = true;
      late();
      signal?.removeEventListener("abort", onAbort);
    };
    const onAnswer = ({ status, headers }: AnswerHead): void => {
      if (saysElsewhere(status, headers))
        return void fail(new MeshError("ELSEWHERE", `the peer asks to take CONNECT ${request.authority} elsewhere`, undefined, { status }));
      if (status !== 200)
        return void fail(
          new MeshError("HTTP_STATUS", `the peer answered ${status} to CONNECT ${request.authority}`, undefined, { status }),
        );
      settle();
      resolve({ end: stream, headers });
    };
    let stream: H2Stream;
    try {
      stream = begin(opening, onAnswer);
    } catch (e) {
      onClosed();
      return reject(e);
    }
    const fail = (e: unknown): void => {
      if (settled) return;
      settle();
      stream.cut();
      reject(e);
    };
    const onAbort = (): void => fail(asMeshError(signal?.reason, "CLIENT_GONE"));
    stream.onOver = (reset) => {
      onClosed();
      if (settled) return;
      fail(
        reset instanceof StreamReset && reset.refused
          ? new NotProcessed(reset.message)
          : new MeshError("H2_HANDSHAKE", `the peer closed the tunnel to ${request.authority} before it answered`, reset),
      );
    };
    const late = deadline(world, answerMs, () =>
      fail(new MeshError("H2_HANDSHAKE", `the peer did not answer CONNECT ${request.authority} within ${answerMs} ms`)),
    );
    if (signal?.aborted) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true });
  });

/** What its user gets of an open tunnel. */
export const tunnelStream = (end: End, peer: SpiffeId, headers: TunnelHeaders): TunnelStream => {
  let duplex: EndDuplex | undefined;
  return {
    end,
    peer,
    headers,
    get stream() {
      duplex ??= new EndDuplex(end);
      return duplex;
    },
  };
};
