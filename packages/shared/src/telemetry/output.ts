// How do log lines leave the process without ever holding up what it is for?
//
// Lines are written whole and many at once, at the end of the loop's turn, one write at a time. A reader that does not read,
// a full disk and a reader that is gone cost lines, never connections: what does not fit into the queue is counted and
// dropped, and the count is told when lines can be written again.

import { fstatSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { Socket } from "node:net";
import type Pino from "pino";
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
/** One write at a time; `done` is called once for each. */
type Sink = {
  write(text: string, done: (error: Written) => void): void;
  /** Nothing is under way. */
  readonly idle: boolean;
};

/**
 * A pipe is written through the loop. pino's writer uses the thread pool, where a write to a pipe that nobody reads waits
 * inside write(2), and with it the end of the process (output.test.ts, "a process whose reader never reads can end").
 */
const pipeSink = (fd: number): Sink => {
  const socket = new Socket({ fd, readable: false, writable: true });
  socket.on("error", () => {}); // told by the write that failed
  socket.unref();
  return {
    write: (text, done) => void socket.write(text, done),
    get idle() {
      return socket.writableLength === 0;
    },
  };
};

/**
 * Files and terminals: pino's writer, loaded where it is used. It is let go when a write fails and before the process ends:
 * with anything left to write, it would go on trying for as long as the disk is full, and the process could not end
 * (output.test.ts, "a full disk").
 */
const fileSink = (fd: number): Sink => {
  const { destination } = createRequire(import.meta.url)("pino") as typeof Pino;
  let waiting: ((error: Written) => void) | undefined;
  let out: ReturnType<typeof destination> | undefined;
  const end = (error: Written): void => {
    const done = waiting;
    waiting = undefined;
    done?.(error);
  };
  const letGo = (): void => {
    out?.destroy(); // of the standard descriptors it closes none
    out = undefined;
  };
  const open = (): ReturnType<typeof destination> => {
    const made = destination({ fd, sync: false, maxWrite: 2 * BATCH });
    made.on("drain", () => end(undefined));
    made.on("error", (error: NodeJS.ErrnoException) => {
      if (made === out) letGo();
      end(error);
    });
    return made;
  };
  process.prependListener("exit", letGo);
  return {
    write: (text, done) => {
      waiting = done;
      out ??= open();
      out.write(text);
    },
    get idle() {
      return waiting === undefined;
    },
  };
};

const countLines = (text: string): number => {
  let lines = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines++;
  return lines;
};

/** Writes to the descriptor, which is this output's alone from now on. */
export const batchedOutput = (options: { readonly fd: number; readonly mostQueued?: number; readonly retryMs?: number }): BatchedOutput => {
  const most = options.mostQueued ?? MOST_QUEUED;
  const stat = fstatSync(options.fd);
  const sink = stat.isFIFO() || stat.isSocket() ? pipeSink(options.fd) : fileSink(options.fd);
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
  const written = (text: string, error: Written): void => {
    if (!error) {
      told();
      flush();
      return;
    }
    lost += countLines(text);
    // A full disk may have room again; for who has gone it costs one try a second.
    state = "waiting";
    setTimeout(flush, options.retryMs ?? RETRY_MS).unref();
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
    sink.write(text, (error) => written(text, error));
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
