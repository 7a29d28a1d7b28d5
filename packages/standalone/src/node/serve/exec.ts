// How does a client's exec run in a container over a WebSocket?

import { closeSync } from "node:fs";
import { constants } from "node:os";
import type { Duplex, Readable, Writable } from "node:stream";
import tty from "node:tty";
import { openPty, resizePty } from "@ambit/shared/linux/pty.ts";
import type { WebSocket } from "ws";
import { type ExecTarget, execIn, killExec } from "../kubelet/exec.ts";
import { CHANNEL, exitStatus, failureStatus, frame, parseFrame, parseResize } from "./channels.ts";

const HIGH_WATER = 1024 * 1024;

export type ExecRequest = { readonly command: readonly string[]; readonly stdin: boolean; readonly tty: boolean };

type Session = {
  readonly input: Writable | undefined;
  readonly outputs: readonly (readonly [channel: number, stream: Readable])[];
  resize(size: { rows: number; columns: number }): void;
  /** All output read and the process gone. */
  readonly exit: Promise<number>;
  kill(): void;
};

const exitCode = (code: number | null, signal: NodeJS.Signals | null): number =>
  code ?? 128 + (signal === null ? 0 : constants.signals[signal]);

const piped = (target: ExecTarget, command: readonly string[]): Session => {
  const child = execIn(target, command);
  const exit = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(exitCode(code, signal)));
  });
  return {
    input: child.stdin ?? undefined,
    outputs: [
      ...(child.stdout === null ? [] : [[CHANNEL.stdout, child.stdout] as const]),
      ...(child.stderr === null ? [] : [[CHANNEL.stderr, child.stderr] as const]),
    ],
    resize: () => {},
    exit,
    kill: () => killExec(child.pid),
  };
};

const onTerminal = (target: ExecTarget, command: readonly string[]): Session => {
  const pty = openPty();
  // The detached child is a session leader without a terminal: opening this one makes it its own.
  const script = `exec 0<>'${pty.path}' 1>&0 2>&0; export TERM="\${TERM:-xterm}"; exec "$@"`;
  let child: ReturnType<typeof execIn>;
  try {
    child = execIn(target, ["/bin/sh", "-c", script, "sh", ...command], "ignore");
  } catch (e) {
    closeSync(pty.master);
    throw e;
  }
  const terminal: Duplex = new tty.ReadStream(pty.master);
  const drained = new Promise<void>((resolve) => {
    terminal.once("close", () => resolve());
    terminal.on("error", () => terminal.destroy()); // EIO: the last program on the terminal has gone
    terminal.once("end", () => terminal.destroy());
  });
  const exit = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      void drained.then(() => resolve(exitCode(code, signal)));
    });
  });
  return {
    input: terminal,
    outputs: [[CHANNEL.stdout, terminal]],
    // The master's fd is the terminal's to close: once it has, the number may be another file's.
    resize: (size) => (terminal.destroyed ? undefined : resizePty(pty.master, size)),
    exit,
    kill: () => killExec(child.pid),
  };
};

/** Passes bytes on; a receiver that is slower than the client makes the client wait. */
export const writeOrWait = (socket: WebSocket, to: Writable | undefined, bytes: Buffer): void => {
  if (to === undefined || to.destroyed || to.writableEnded || to.write(bytes)) return;
  const resume = (): void => {
    to.off("drain", resume);
    to.off("close", resume);
    socket.resume();
  };
  socket.pause();
  to.once("drain", resume);
  to.once("close", resume);
};

/** Serves one exec to its end: streams both ways, then the exit status on the error channel. A client that leaves ends the command. */
export const serveExec = async (socket: WebSocket, target: ExecTarget, request: ExecRequest): Promise<void> => {
  const end = (status: object): void => {
    socket.send(frame(CHANNEL.error, Buffer.from(JSON.stringify(status))));
    socket.close(1000);
  };
  let session: Session;
  try {
    session = request.tty ? onTerminal(target, request.command) : piped(target, request.command);
  } catch (e) {
    return end(failureStatus(e instanceof Error ? e.message : String(e)));
  }
  session.input?.on("error", () => {}); // the command may close its input before the client has sent all
  if (!request.stdin && !request.tty) session.input?.end();
  socket.on("message", (data: Buffer) => {
    const message = parseFrame(data);
    if (message.kind === "close" && message.channel === CHANNEL.stdin) session.input?.end();
    if (message.kind !== "data") return;
    if (message.channel === CHANNEL.stdin && request.stdin) writeOrWait(socket, session.input, message.bytes);
    const size = message.channel === CHANNEL.resize ? parseResize(message.bytes) : undefined;
    if (size !== undefined) session.resize(size);
  });
  socket.once("close", () => session.kill());
  for (const [channel, stream] of session.outputs)
    stream.on("data", (bytes: Buffer) => {
      if (socket.readyState !== socket.OPEN) return;
      if (socket.bufferedAmount > HIGH_WATER) stream.pause();
      socket.send(frame(channel, bytes), () => stream.resume());
    });
  try {
    const code = await session.exit;
    if (socket.readyState === socket.OPEN) end(exitStatus(code));
  } catch (e) {
    end(failureStatus(e instanceof Error ? e.message : String(e)));
  }
};
