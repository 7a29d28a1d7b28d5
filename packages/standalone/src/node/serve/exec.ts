// How does a client's exec run in a container?

import type { Readable, Writable } from "node:stream";
import type { ExecTarget } from "../kubelet/exec.ts";
import { exitStatus, failureStatus } from "./channels.ts";
import { onPipes, onTerminal, type RunningCommand } from "./process.ts";
import type { RemoteEnd } from "./remote.ts";

export type ExecRequest = { readonly command: readonly string[]; readonly tty: boolean };

const said = (e: unknown): string => (e instanceof Error ? e.message : String(e));

const feed = (from: Readable | undefined, command: RunningCommand, tty: boolean): void => {
  const to = command.stdin;
  to?.on("error", () => {}); // the command may close its input before the client has sent all
  if (from === undefined || to === undefined) {
    if (!tty) command.endInput();
    return;
  }
  from.pipe(to, { end: false });
  let ended = false;
  const end = (): void => {
    if (!ended && to.writable) command.endInput();
    ended = true;
  };
  from.once("end", end);
  from.once("close", end);
  // Input that nobody reads any more must not hold the client's connection back.
  to.once("close", () => from.unpipe(to).resume());
};

const pass = (from: Readable | undefined, to: Writable | undefined, left: AbortSignal): void => {
  if (from === undefined) return;
  if (to === undefined) {
    from.resume();
    return;
  }
  from.pipe(to, { end: false });
  // Read on to its end without the client, so that the process can be waited for and its pipes be closed.
  left.addEventListener("abort", () => from.unpipe(to).resume(), { once: true });
};

/** Serves one exec to its end: streams both ways, then the exit status. A client that leaves ends the command. */
export const serveExec = async (remote: RemoteEnd, target: ExecTarget, request: ExecRequest): Promise<void> => {
  let command: RunningCommand;
  try {
    command = request.tty ? onTerminal(target, request.command) : onPipes(target, request.command);
  } catch (e) {
    return remote.finish(failureStatus(said(e)));
  }
  feed(remote.stdin, command, request.tty);
  pass(command.stdout, remote.stdout, remote.left);
  pass(command.stderr, remote.stderr, remote.left);
  remote.onResize((size) => command.resize(size));
  const kill = (): void => command.kill();
  if (remote.left.aborted) kill();
  remote.left.addEventListener("abort", kill, { once: true });
  const status = await command.exit.then(exitStatus, (e: unknown) => failureStatus(said(e)));
  remote.left.removeEventListener("abort", kill); // its process id may be another's from now on
  await remote.finish(status);
};
