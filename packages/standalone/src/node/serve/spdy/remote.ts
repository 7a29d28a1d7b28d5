// How do exec and attach travel over a SPDY connection?

import type { Duplex, Readable } from "node:stream";
import type { World } from "@ambit/shared/runtime/world.ts";
import { parseResize, type Status } from "../channels.ts";
import { flushed, type RemoteEnd, type Size } from "../remote.ts";
import { ABOUT, REMOTE_STREAMS, type RemoteProtocol, type RemoteStream } from "./negotiate.ts";
import { type SpdySession, serveSession } from "./session.ts";

const STREAMS_MS = 30_000;
const MAX_RESIZE = 4096;

/** Sizes come as JSON documents one after the other (Go's encoder ends each with a newline). */
const sizes = (from: Readable, listener: (size: Size) => void): void => {
  let text = "";
  from.setEncoding("utf8").on("data", (more: string) => {
    const lines = `${text}${more}`.split("\n");
    text = (lines.pop() ?? "").slice(0, MAX_RESIZE);
    for (const line of lines) {
      const size = parseResize(Buffer.from(line));
      if (size !== undefined) listener(size);
    }
  });
};

const statusText = (status: Status, protocol: RemoteProtocol): string => {
  if (ABOUT[protocol].status === "json") return JSON.stringify(status);
  return status.status === "Success" ? "" : status.message;
};

const endOver = (session: SpdySession, streams: ReadonlyMap<RemoteStream, Duplex>, protocol: RemoteProtocol): RemoteEnd => {
  const [stdin, stdout, stderr] = [streams.get("stdin"), streams.get("stdout"), streams.get("stderr")];
  const resize = streams.get("resize");
  for (const s of [stdout, stderr, streams.get("error")]) s?.resume(); // the client only ends these
  return {
    stdin,
    stdout,
    stderr,
    onResize: (listener) => {
      if (resize !== undefined) sizes(resize, listener);
    },
    finish: async (status) => {
      await flushed([stdout, stderr]);
      const error = streams.get("error");
      error?.write(statusText(status, protocol));
      await flushed([error]);
      // RST_STREAM: what the client still sends here has no reader.
      stdin?.destroy();
      resize?.destroy();
      session.close();
    },
    left: session.closed,
  };
};

export type RemoteOptions = {
  readonly world: World;
  readonly protocol: RemoteProtocol;
  /** The streams the client will open, in any order. */
  readonly wanted: readonly RemoteStream[];
  broken(why: string): void;
};

/** Resolves once the client has opened the streams it asked for; rejects when it has not in 30 s, or left. */
export const remoteOnSpdy = async (transport: Duplex, options: RemoteOptions): Promise<RemoteEnd> => {
  const streams = new Map<RemoteStream, Duplex>();
  const complete = new AbortController();
  const session = serveSession(transport, {
    world: options.world,
    broken: options.broken,
    accept: (stream) => {
      const type = REMOTE_STREAMS.find((t) => t === stream.headers.get("streamtype"));
      if (type === undefined || !options.wanted.includes(type) || streams.has(type)) return "no such stream was asked for";
      streams.set(type, stream.io);
      if (streams.size === options.wanted.length) complete.abort();
      return undefined;
    },
  });
  const late = await options.world.sleep(STREAMS_MS, AbortSignal.any([complete.signal, session.closed])).then(
    () => true,
    () => false,
  );
  if (late) transport.destroy();
  if (!complete.signal.aborted)
    throw new Error(`the client did not open all of ${options.wanted.join(", ")}${late ? ` in ${STREAMS_MS / 1000} s` : " and left"}`);
  return endOver(session, streams, options.protocol);
};
