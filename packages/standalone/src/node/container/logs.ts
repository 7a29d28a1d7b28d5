// Where do a container's kept logs live, how are they written and rotated, and how read and followed?

import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  watch,
  writeSync,
} from "node:fs";
import { open } from "node:fs/promises";
import net from "node:net";
import { dirname, join } from "node:path";
import { createLineSplitter, type LogLine, type LogSelection, parseLogLine, renderLogLine, type Stream, selectLines } from "./log-lines.ts";

const MAX_BYTES = 10 * 1024 * 1024;
const MAX_FILES = 3;

export type PodRef = { readonly namespace: string; readonly name: string; readonly uid: string };

export const podLogDir = (dataDir: string, pod: PodRef): string => join(dataDir, "logs", `${pod.namespace}_${pod.name}_${pod.uid}`);

/** The log file of one run of a container. */
export const logFile = (dataDir: string, pod: PodRef, run: { readonly container: string; readonly restart: number }): string =>
  join(podLogDir(dataDir, pod), run.container, `${run.restart}.log`);

/** RFC 3339 with nanoseconds, as CRI logs have it. */
const stamp = (now: () => number): string => new Date(now()).toISOString().replace("Z", "000000Z");

const rotate = (path: string): void => {
  for (let n = MAX_FILES - 2; n >= 0; n--) {
    const from = n === 0 ? path : `${path}.${n}`;
    if (existsSync(from)) renameSync(from, `${path}.${n + 1}`);
  }
};

export type LogSink = {
  /** Resolves when both streams have ended (all of the container's processes have closed them). */
  readonly drained: Promise<void>;
  /** Stops reading; what is still in the pipes is lost. */
  close(): void;
};

/** Reads the container's two output pipes from the event loop into the log file, until they end. */
export const captureOutput = (dir: string, path: string, now: () => number): LogSink => {
  mkdirSync(dirname(path), { recursive: true });
  let fd = openSync(path, "a", 0o640);
  let size = statSync(path).size;
  const write = (lines: Buffer): void => {
    if (lines.length === 0) return;
    if (size + lines.length > MAX_BYTES) {
      closeSync(fd);
      rotate(path);
      fd = openSync(path, "a", 0o640);
      size = 0;
    }
    for (let at = 0; at < lines.length; ) at += writeSync(fd, lines, at);
    size += lines.length;
  };
  const sockets = (["stdout", "stderr"] as const).map((stream: Stream) => {
    const pipe = openSync(join(dir, stream), constants.O_RDONLY | constants.O_NONBLOCK);
    const socket = new net.Socket({ fd: pipe, readable: true, writable: false });
    const splitter = createLineSplitter(stream);
    socket.on("data", (bytes: Buffer) => write(splitter.push(bytes, stamp(now))));
    const ended = new Promise<void>((resolve) => {
      socket.once("close", () => {
        write(splitter.end(stamp(now)));
        resolve();
      });
    });
    // Reading a pipe can fail only by our own close.
    socket.on("error", () => socket.destroy());
    return { socket, ended };
  });
  const drained = Promise.all(sockets.map((s) => s.ended)).then(() => closeSync(fd));
  return {
    drained,
    close: () => {
      for (const { socket } of sockets) socket.destroy();
    },
  };
};

/** Keeps the logs of the newest two runs of a container (the one before is `kubectl logs --previous`). */
export const dropOldLogs = (path: string, restart: number): void => {
  const dir = dirname(path);
  if (!existsSync(dir)) return;
  for (const name of readdirSync(dir)) {
    const run = Number.parseInt(name, 10);
    if (run < restart - 1) rmSync(join(dir, name), { force: true });
  }
};

const linesOf = (text: string): readonly LogLine[] =>
  text.split("\n").flatMap((line) => {
    const parsed = parseLogLine(line);
    return parsed === undefined ? [] : [parsed];
  });

/** All kept lines of one run, oldest first, and where the current file ends. */
const readKept = (path: string): { readonly lines: readonly LogLine[]; readonly end: number } => {
  const older = Array.from({ length: MAX_FILES - 1 }, (_, i) => `${path}.${MAX_FILES - 1 - i}`).filter(existsSync);
  const current = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
  const end = current.lastIndexOf(10) + 1;
  return { lines: [...older.flatMap((file) => linesOf(readFileSync(file, "utf8"))), ...linesOf(current.subarray(0, end).toString())], end };
};

/** The text of a container's run as the log endpoint answers it. */
export const readLogs = (path: string, selection: LogSelection): string => {
  const text = selectLines(readKept(path).lines, selection)
    .map((l) => renderLogLine(l, selection.timestamps))
    .join("");
  return selection.limitBytes === undefined ? text : Buffer.from(text).subarray(0, selection.limitBytes).toString();
};

/**
 * As readLogs, and then each new line as it is written, until the signal aborts or `ended` resolves and all was read.
 * A rotation in between is followed into the new file.
 */
export async function* followLogs(path: string, selection: LogSelection, ended: AbortSignal): AsyncGenerator<string> {
  mkdirSync(dirname(path), { recursive: true });
  let wake = Promise.withResolvers<void>();
  const watcher = watch(dirname(path), () => wake.resolve());
  const stop = (): void => wake.resolve();
  ended.addEventListener("abort", stop);
  try {
    const { lines, end } = readKept(path);
    const first = selectLines(lines, selection).map((l) => renderLogLine(l, selection.timestamps));
    if (first.length > 0) yield first.join("");
    let at = end;
    let inode = existsSync(path) ? statSync(path).ino : 0;
    while (true) {
      const finished = ended.aborted;
      wake = Promise.withResolvers<void>();
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat !== undefined && stat.ino !== inode) {
        const old = inode === 0 ? undefined : `${path}.1`;
        if (old !== undefined && existsSync(old)) yield* newText(old, at, selection.timestamps);
        inode = stat.ino;
        at = 0;
      }
      if (stat !== undefined && stat.size > at) {
        const text = await readFrom(path, at);
        const complete = text.subarray(0, text.lastIndexOf(10) + 1);
        at += complete.length;
        if (complete.length > 0)
          yield linesOf(complete.toString())
            .map((l) => renderLogLine(l, selection.timestamps))
            .join("");
      } else if (finished) return;
      else await wake.promise;
    }
  } finally {
    ended.removeEventListener("abort", stop);
    watcher.close();
  }
}

async function* newText(path: string, from: number, timestamps: boolean): AsyncGenerator<string> {
  const text = await readFrom(path, from);
  if (text.length > 0)
    yield linesOf(text.toString())
      .map((l) => renderLogLine(l, timestamps))
      .join("");
}

const readFrom = async (path: string, from: number): Promise<Buffer> => {
  await using file = await open(path, "r");
  const { size } = await file.stat();
  const buffer = Buffer.alloc(Math.max(0, size - from));
  const { bytesRead } = await file.read(buffer, 0, buffer.length, from);
  return buffer.subarray(0, bytesRead);
};
