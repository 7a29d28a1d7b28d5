// How does ztunnel follow the CNI agent: connect, say hello, answer each message before the next? (ZDS over SEQPACKET)

import { connectSeqpacket, type Message } from "@ambit/shared/linux/scm.ts";
import { createSeqpacketConnection } from "@ambit/shared/linux/seqpacket.ts";
import { closeFd } from "@ambit/shared/linux/socket.ts";
import { backoffMs } from "@ambit/shared/runtime/backoff.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { ScopedLogger } from "@ambit/shared/telemetry/log.ts";
import { ZDS_EXTENSIONS, type ZdsRequest } from "@ambit/shared/wire/types.ts";
import { decodeZdsRequest, encodeZdsAck, encodeZdsHello } from "@ambit/shared/wire/zds.ts";

/** ztunnel goes up to 15 s; connecting to a local socket costs nothing, and until then no pod of the node can start. */
const BACKOFF = { baseMs: 10, maxMs: 2_000 };

/** What the handler answers: "" is success. With `hangUp` the connection ends after the answer. */
export type ZdsAnswer = { readonly error: string; readonly hangUp: boolean };

export type ZdsHandler = {
  /** One message at a time; takes over the fd. Must not reject. */
  onRequest(request: ZdsRequest, fd: number | undefined): Promise<ZdsAnswer>;
  /** A new connection is up: forget the session before. */
  onConnected(): void;
  onDisconnected(): void;
};

export type ZdsClientOptions = { readonly path: string; readonly world: World; readonly log: ScopedLogger; readonly handler: ZdsHandler };

const text = (e: unknown): string => (e instanceof Error ? e.message : String(e));

/** The message's answer; whatever is wrong with it is the answer, and no fd is left open. */
const answerTo = async (message: Message, handler: ZdsHandler): Promise<ZdsAnswer> => {
  const [fd, ...more] = message.fds;
  const request = decodeZdsRequest(message.bytes);
  if (more.length > 0 || !request.ok) {
    for (const open of message.fds) closeFd(open);
    return {
      error: request.ok ? `protocol error: ${message.fds.length} file descriptors came with one message` : request.error,
      hangUp: true,
    };
  }
  return handler.onRequest(request.value, fd);
};

/** One connection from hello to its end; resolves with why it ended. */
const follow = (fd: number, options: ZdsClientOptions, signal: AbortSignal): Promise<string> =>
  new Promise((resolve) => {
    const { handler } = options;
    let queue = Promise.resolve();
    let reason = "the agent closed the connection";
    const hangUp = (why: string): void => {
      reason = why;
      connection.close();
    };
    const onAbort = (): void => hangUp("stopping");
    const handle = async (message: Message): Promise<void> => {
      const answer = await answerTo(message, handler);
      await connection.send(encodeZdsAck({ error: answer.error })).catch((e: unknown) => hangUp(`cannot answer: ${text(e)}`));
      if (answer.hangUp) hangUp(answer.error);
    };
    const connection = createSeqpacketConnection(fd, {
      onMessage: (message) => {
        queue = queue.then(() => handle(message));
      },
      onClose: (error) => {
        signal.removeEventListener("abort", onAbort);
        // What was received is finished first: its fds have owners then.
        void queue.then(() => resolve(error === undefined ? reason : error.message));
      },
    });
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    handler.onConnected();
    connection
      .send(encodeZdsHello({ version: "V1", understands: ZDS_EXTENSIONS }))
      .catch((e: unknown) => hangUp(`cannot say hello: ${text(e)}`));
  });

const pause = (world: World, ms: number, signal: AbortSignal): Promise<void> =>
  world.sleep(ms, signal).catch((e: unknown) => {
    if (!signal.aborted) throw e;
  });

/** Follows the agent until the signal aborts, connecting again whenever the connection ends. */
export const runZdsClient = async (options: ZdsClientOptions, signal: AbortSignal): Promise<void> => {
  const { path, world, log, handler } = options;
  let attempt = 0;
  while (!signal.aborted) {
    let fd: number | undefined;
    try {
      fd = connectSeqpacket(path);
    } catch (e) {
      // Said once: the agent may start after us.
      log[attempt === 0 ? "warn" : "debug"]("cannot reach the CNI agent, trying again", { path, error: text(e), attempt });
    }
    if (fd !== undefined) {
      const since = world.now();
      log.info("connected to the CNI agent", { path });
      const reason = await follow(fd, options, signal);
      handler.onDisconnected();
      if (!signal.aborted) log.warn("the connection to the CNI agent ended", { path, reason });
      if (world.now() - since > BACKOFF.maxMs) attempt = 0;
    }
    await pause(world, backoffMs(attempt++, world.random, BACKOFF), signal);
  }
};
