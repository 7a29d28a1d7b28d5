// How do log lines leave the process without ever holding up what it is for?
//
// Lines are written whole and many at once, at the end of the loop's turn, one write at a time. A reader that does not read,
// a full disk and a reader that is gone cost lines, never connections: what does not fit into the queue is counted and
// dropped, and the count is told when lines can be written again.

import { fstatSync, write, writeSync } from "node:fs";
import { Socket } from "node:net";
import type { LogOutput } from "./log.ts";

export type BatchedOutput = LogOutput & {
  /** Told how many lines were lost, once lines can be written again. */
  onLost(listener: (lines: number) => void): void;
  /** Writes what is queued now, as far as that needs no waiting; before the process ends. */
  flushSync(): void;
  /** Resolves when everything is written, or cannot be, or the time is over. */
  drained(deadlineMs: number): Promise<void>;
};

/** Characters that may wait for a reader that is slow. */
const MOST_QUEUED = 1_048_576;
const BATCH = 65_536;
const RETRY_MS = 1_000;

type Written = NodeJS.ErrnoException | null | undefined;
/** Writes all of the bytes and says so once, or why it could not. */
type Sink = { write(bytes: Buffer, done: (error: Written) => void): void; readonly idle: boolean };

/**
 * A pipe is written through the loop: a thread that waits in write(2) for a reader would keep the process from ending.
 * What fails once has no second chance there: the reader is gone.
 */
const pipeSink = (fd: number): Sink => {
  const socket = new Socket({ fd, readable: false, writable: true });
  socket.on("error", () => {}); // told by the write that failed
  socket.unref();
  return {
    write: (bytes, done) => void socket.write(bytes, done),
    get idle() {
      return socket.writableLength === 0;
    },
  };
};

const fileSink = (fd: number): Sink => {
  let idle = true;
  const from = (bytes: Buffer, done: (error: Written) => void): void => {
    idle = false;
    write(fd, bytes, 0, bytes.length, null, (error, count) => {
      if (error === null && count < bytes.length) return from(bytes.subarray(count), done);
      idle = true;
      done(error);
    });
  };
  return {
    write: from,
    get idle() {
      return idle;
    },
  };
};

const sinkFor = (fd: number): Sink => {
  const stat = fstatSync(fd);
  return stat.isFIFO() || stat.isSocket() ? pipeSink(fd) : fileSink(fd);
};

const countLines = (text: string): number => {
  let lines = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines++;
  return lines;
};

/** Writes to the descriptor, which is this output's alone from now on. */
export const batchedOutput = (options: { readonly fd: number; readonly mostQueued?: number; readonly retryMs?: number }): BatchedOutput => {
  const sink = sinkFor(options.fd);
  const most = options.mostQueued ?? MOST_QUEUED;
  let queue: string[] = [];
  let queued = 0;
  let lost = 0;
  let state: "idle" | "scheduled" | "writing" | "waiting" = "idle";
  let tell: (lines: number) => void = () => {};
  let rest = Promise.withResolvers<void>();

  const batch = (): string => {
    let text = "";
    let taken = 0;
    while (taken < queue.length && text.length < BATCH) text += queue[taken++];
    queue = queue.slice(taken);
    queued -= text.length;
    return text;
  };
  const told = (): void => {
    if (lost === 0) return;
    const lines = lost;
    lost = 0;
    tell(lines);
  };
  const flush = (): void => {
    if (queue.length === 0) {
      state = "idle";
      rest.resolve();
      rest = Promise.withResolvers();
      return;
    }
    state = "writing";
    const text = batch();
    sink.write(Buffer.from(text), (error) => {
      if (!error) {
        told();
        return flush();
      }
      lost += countLines(text);
      // A full disk may have room again; for who has gone it costs one try a second.
      state = "waiting";
      setTimeout(flush, options.retryMs ?? RETRY_MS).unref();
    });
  };

  return {
    write: (text) => {
      if (queued + text.length > most) {
        lost += countLines(text);
        return;
      }
      queue.push(text);
      queued += text.length;
      if (state !== "idle") return;
      state = "scheduled";
      setImmediate(flush);
    },
    onLost: (listener) => {
      tell = listener;
    },
    flushSync: () => {
      // Behind a write that is under way nothing can be written without mixing lines.
      if (!sink.idle) return;
      try {
        for (let bytes = Buffer.from(queue.splice(0).join("")); bytes.length > 0; ) bytes = bytes.subarray(writeSync(options.fd, bytes));
        queued = 0;
      } catch {
        // The last lines of a process whose reader is gone, slow, or out of room: there is nobody to tell.
      }
    },
    drained: (deadlineMs) => {
      if (state === "idle" || state === "waiting") return Promise.resolve();
      const timer = Promise.withResolvers<void>();
      const handle = setTimeout(timer.resolve, deadlineMs);
      return Promise.race([rest.promise, timer.promise]).finally(() => clearTimeout(handle));
    },
  };
};
