// Who sends HTTP/1.1 requests over one connection and reads the answers?

import { nextTick } from "node:process";
import { asMeshError, MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { ByteStream } from "../bytes/stream.ts";
import { connectionOptions, endToEnd, firstOf, joined, unframed, without } from "../http/fields.ts";
import { emptyBody, type HttpResponse } from "../http/message.ts";
import type { Outcome, Outgoing } from "../upstream/outcome.ts";
import { readBody, type WriteFraming, writeBody } from "./body.ts";
import { parseResponseHead, type ResponseHead } from "./head.ts";
import { readHead } from "./read-head.ts";
import { requestHeadText } from "./serialize.ts";

export type Http1Client = {
  /** One exchange; the connection is busy until `over` is called, once: free to carry another (with how long the backend keeps it, in ms if it says so) or not. */
  send(request: Outgoing, signal: AbortSignal, over: (free: boolean, keptMs?: number) => void): Promise<Outcome>;
  /** Still worth sending on: the backend has not closed, and has said nothing that nobody asked for. */
  readonly open: boolean;
  /** Called once when the backend closes it. */
  onClosed(listener: () => void): void;
  close(): void;
};

const framingOf = (r: Outgoing): WriteFraming => {
  if (r.body.length === undefined) return "chunked";
  return r.body.length === 0 ? "none" : "length";
};

/** The framing is ours alone: what stands among the headers of that kind, from whomever, would let the backend find another end. */
const headText = (r: Outgoing, framing: WriteFraming): string => {
  const own = unframed(r.headers);
  const fields = without(own, "te");
  // A method that usually has content says so even when it is empty (RFC 9110 section 8.6).
  const empty = framing === "none" && r.body.length === 0 && ["POST", "PUT", "PATCH"].includes(r.method);
  return requestHeadText({
    method: r.method,
    path: r.path,
    authority: r.authority,
    fields: [
      ...fields,
      ...(framing === "length" || empty ? ([["content-length", String(r.body.length)]] as const) : []),
      ...(framing === "chunked" ? ([["transfer-encoding", "chunked"]] as const) : []),
      ...(firstOf(own, "te") === undefined
        ? []
        : ([
            ["te", "trailers"],
            ["connection", "te"],
          ] as const)),
      ...(r.upgrade === undefined
        ? []
        : ([
            ["connection", "upgrade"],
            ["upgrade", r.upgrade],
          ] as const)),
    ],
  });
};

/** `Keep-Alive: timeout=5`, in ms, less a second for the way. */
const keptFor = (head: ResponseHead): number | undefined => {
  const m = /(?:^|[,\s])timeout=(\d{1,6})/i.exec(firstOf(head.fields, "keep-alive") ?? "");
  return m === null ? undefined : Math.max(0, Number(m[1]) * 1000 - 1000);
};

const keepsAlive = (head: ResponseHead): boolean => {
  const options = connectionOptions(head.fields);
  return head.minor === 1 ? !options.includes("close") : options.includes("keep-alive");
};

type Sent = { readonly kind: "sent" } | { readonly kind: "failed"; readonly error: unknown };

/** Head and body out; the head leaves together with content that is already here. */
const sendRequest = async (io: ByteStream, r: Outgoing): Promise<void> => {
  const framing = framingOf(r);
  const head = headText(r, framing);
  io.cork();
  nextTick(() => io.uncork());
  const wait = io.write(head);
  if (wait !== undefined) await wait;
  await writeBody(io, r.body, framing, () => undefined);
};

/** Whether a 101 is the answer to what was asked. Any other would make a pipe of a connection whose requests are looked at one by one. */
const grants = (head: ResponseHead, r: Outgoing): boolean =>
  r.upgrade !== undefined &&
  connectionOptions(head.fields).includes("upgrade") &&
  joined(head.fields, "upgrade")?.toLowerCase() === r.upgrade.toLowerCase();

/** The final answer's head; interim ones are passed on. */
const readAnswer = async (io: ByteStream, r: Outgoing): Promise<{ head: ResponseHead; any: true } | MeshError> => {
  for (;;) {
    const found = await readHead(io, (buf) => parseResponseHead(buf, r.method));
    if (found.kind === "bad") return new MeshError("UPSTREAM_PROTOCOL", `the backend's answer cannot be read: ${found.reason}`);
    if (found.kind !== "head") return new MeshError("UPSTREAM_RESET", "the backend closed the connection before it answered");
    const { head } = found;
    if (head.status === 101 && !grants(head, r))
      return new MeshError("UPSTREAM_PROTOCOL", "the backend switched to a protocol that nobody asked for");
    if (head.status >= 200 || head.status === 101) return { head, any: true };
    // 100 answers an Expect that we did not send on.
    if (head.status !== 100) r.interim(head.status, endToEnd(head.fields));
  }
};

/** What an exchange leaves behind: the connection is free once the request is out and the answer is in. */
type Closing = { sent: boolean; read: boolean; keep: boolean };

/** Whatever the backend says between two exchanges would be read as the answer to the next one, which may be anybody's. */
const UNASKED = "the backend spoke out of turn";

export const http1Client = (io: ByteStream): Http1Client => {
  let used = false;
  let busy = false;
  io.onUnread(() => {
    if (!busy) io.destroy(new MeshError("UPSTREAM_PROTOCOL", UNASKED));
  });

  const toResponse = (head: ResponseHead, c: Closing, settle: () => void): HttpResponse => {
    if (head.status === 101) return { status: 101, headers: endToEnd(head.fields), body: emptyBody, upgraded: io };
    const body = readBody(
      {
        io,
        fault: "UPSTREAM_PROTOCOL",
        lost: "UPSTREAM_RESET",
        done: () => {
          c.read = true;
          settle();
        },
        cancelled: () => {
          c.keep = false;
          c.read = true;
          settle();
        },
        meter: () => undefined,
      },
      head.framing,
    );
    return { status: head.status, headers: endToEnd(head.fields), body };
  };

  const exchange = async (r: Outgoing, over: (free: boolean, keptMs?: number) => void): Promise<Outcome> => {
    const reused = used;
    used = true;
    const c: Closing = { sent: false, read: false, keep: false };
    let kept: number | undefined;
    const settle = (): void => {
      if (!c.read) return;
      // An answer that came whole before the request was out leaves the connection in the middle of a message.
      // So does an answer that was longer than it said.
      if (c.sent && c.keep && io.open && !io.pending) {
        over(true, kept);
        return;
      }
      over(false);
      io.destroy();
    };
    const sending = sendRequest(io, r).then(
      (): Sent => {
        c.sent = true;
        return { kind: "sent" };
      },
      (error: unknown): Sent => {
        // A caller that broke off leaves a request that will never be whole. A backend that stopped reading may still answer.
        if (error instanceof MeshError) io.destroy(error);
        return { kind: "failed", error };
      },
    );
    const failed = (error: MeshError): Outcome => {
      over(false);
      io.destroy();
      return { kind: "failed", error, processed: "maybe", reused };
    };
    let answer: Awaited<ReturnType<typeof readAnswer>>;
    try {
      answer = await readAnswer(io, r);
    } catch (e) {
      const sent = io.open ? undefined : await sending;
      return failed(sent?.kind === "failed" && sent.error instanceof MeshError ? sent.error : asMeshError(e, "UPSTREAM_RESET"));
    }
    if (answer instanceof MeshError) return failed(answer);
    kept = keptFor(answer.head);
    c.keep = keepsAlive(answer.head) && answer.head.framing.kind !== "until-close";
    if (answer.head.status === 101) over(false);
    return { kind: "response", response: toResponse(answer.head, c, settle) };
  };

  return {
    send: (r, signal, over) => {
      if (signal.aborted) {
        over(io.open && !io.pending);
        return Promise.resolve({ kind: "failed", error: asMeshError(signal.reason, "CLIENT_GONE"), processed: "no", reused: used });
      }
      if (io.pending) {
        io.destroy();
        over(false);
        return Promise.resolve({ kind: "failed", error: new MeshError("UPSTREAM_RESET", UNASKED), processed: "no", reused: used });
      }
      busy = true;
      const onAbort = (): void => io.destroy(asMeshError(signal.reason, "CLIENT_GONE"));
      let done = false;
      // The signal may outlive the exchange by many others.
      const finish = (free: boolean, keptMs?: number): void => {
        if (done) return;
        done = true;
        busy = !free;
        signal.removeEventListener("abort", onAbort);
        over(free, keptMs);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      return exchange(r, finish);
    },
    get open() {
      return io.open && !io.pending;
    },
    onClosed: (listener) => io.onPeerEnd(listener),
    close: () => io.destroy(),
  };
};
