// How does a command run in a container, on pipes or on a terminal?

import { closeSync } from "node:fs";
import { constants } from "node:os";
import type { Duplex, Readable, Writable } from "node:stream";
import tty from "node:tty";
import { openPty, resizePty } from "@ambit/shared/linux/pty.ts";
import { type ExecTarget, execIn, killExec } from "../kubelet/exec.ts";
import type { Size } from "./remote.ts";

export type RunningCommand = {
  readonly stdin: Writable | undefined;
  readonly stdout: Readable | undefined;
  /** Absent on a terminal, which has one output. */
  readonly stderr: Readable | undefined;
  /** Says that no more input comes. */
  endInput(): void;
  resize(size: Size): void;
  /** The exit code, when all output is read and the process gone. */
  readonly exit: Promise<number>;
  kill(): void;
};

const END_OF_TRANSMISSION = "\x04";

const exitCode = (code: number | null, signal: NodeJS.Signals | null): number =>
  code ?? 128 + (signal === null ? 0 : constants.signals[signal]);

/** Throws when the container is gone. */
export const onPipes = (target: ExecTarget, command: readonly string[]): RunningCommand => {
  const child = execIn(target, command);
  const exit = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(exitCode(code, signal)));
  });
  return {
    stdin: child.stdin ?? undefined,
    stdout: child.stdout ?? undefined,
    stderr: child.stderr ?? undefined,
    endInput: () => child.stdin?.end(),
    resize: () => {},
    exit,
    kill: () => killExec(child.pid),
  };
};

/** Throws when the container is gone. */
export const onTerminal = (target: ExecTarget, command: readonly string[]): RunningCommand => {
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
    stdin: terminal,
    stdout: terminal,
    stderr: undefined,
    // A terminal has no end of input but the key for it.
    endInput: () => void terminal.write(END_OF_TRANSMISSION),
    // The master's fd is the terminal's to close: once it has, the number may be another file's.
    resize: (size) => (terminal.destroyed ? undefined : resizePty(pty.master, size)),
    exit,
    kill: () => killExec(child.pid),
  };
};
