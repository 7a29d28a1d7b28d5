// How does the event loop serve a SOCK_SEQPACKET socket, without a parked thread and with one clean end?

import { lstatSync, unlinkSync } from "node:fs";
import { errnoOf, LinuxError, watchFd } from "./client.ts";
import { accept, listenSeqpacket, type Message, receiveMessage, sendMessage } from "./scm.ts";
import { closeFd } from "./socket.ts";

const asError = (e: unknown): Error => (e instanceof Error ? e : new Error(String(e)));

export type SeqpacketHandlers = {
  /** One message; its fds are the handler's to close. */
  readonly onMessage: (message: Message) => void;
  /** Once, at the end: undefined when either side closed, else what failed. */
  readonly onClose: (reason: Error | undefined) => void;
  /** The longest message accepted; 1024 bytes unless said otherwise. */
  readonly maxBytes?: number;
};

export type SeqpacketConnection = Disposable & {
  /** Resolves when the kernel has taken the message (the fds may be closed then); rejects with LinuxError when it cannot. In order. */
  send(bytes: Uint8Array, fds?: readonly number[]): Promise<void>;
  /** Closes now; waiting sends reject, onClose is called with undefined. Calling it again does nothing. */
  close(): void;
};

type Waiting = { bytes: Uint8Array; fds: readonly number[]; resolve: () => void; reject: (e: Error) => void };

/** Takes ownership of a connected fd and serves it from the event loop: no thread is parked, nothing outlives close(). */
export const createSeqpacketConnection = (fd: number, handlers: SeqpacketHandlers): SeqpacketConnection => {
  const waiting: Waiting[] = [];
  let open = true;

  const end = (reason: Error | undefined): void => {
    if (!open) return;
    open = false;
    watcher.close();
    closeFd(fd);
    for (const w of waiting.splice(0)) w.reject(reason ?? new LinuxError("sendmsg", errnoOf("EPIPE"), "the connection is closed"));
    handlers.onClose(reason);
  };
  const receive = (): void => {
    while (open) {
      let message: Message | "end" | undefined;
      try {
        message = receiveMessage(fd, handlers.maxBytes);
      } catch (e) {
        end(asError(e));
        return;
      }
      if (message === undefined) return;
      if (message === "end") end(undefined);
      else handlers.onMessage(message);
    }
  };
  const flush = (): void => {
    for (let head = waiting[0]; open && head !== undefined; head = waiting[0]) {
      try {
        if (!sendMessage(fd, head.bytes, head.fds)) {
          watcher.watchWritable(true);
          return;
        }
        waiting.shift();
        head.resolve();
      } catch (e) {
        waiting.shift();
        head.reject(asError(e));
      }
    }
    if (open) watcher.watchWritable(false);
  };
  const watcher = watchFd(fd, receive, flush);

  return {
    send: (bytes, fds = []) =>
      new Promise((resolve, reject) => {
        if (!open) return reject(new LinuxError("sendmsg", errnoOf("EPIPE"), "the connection is closed"));
        waiting.push({ bytes, fds, resolve, reject });
        if (waiting.length === 1) flush();
      }),
    close: () => end(undefined),
    [Symbol.dispose]: () => end(undefined),
  };
};

export type SeqpacketServer = Disposable & { close(): void };

/** Listens at the path; each accepted fd is the handler's. close() also removes the socket file. */
export const createSeqpacketServer = (path: string, onConnection: (fd: number) => void, mode?: number): SeqpacketServer => {
  const fd = listenSeqpacket(path, mode === undefined ? {} : { mode });
  const watcher = watchFd(fd, () => {
    for (let next = accept(fd); next !== undefined; next = accept(fd)) onConnection(next);
  });
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    watcher.close();
    closeFd(fd);
    if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) unlinkSync(path);
  };
  return { close, [Symbol.dispose]: close };
};
