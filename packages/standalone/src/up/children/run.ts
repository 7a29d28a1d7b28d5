// How does one child process stay running, and end when asked?

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { backoffMs } from "@ambit/shared/runtime/backoff.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { createCgroup } from "../../node/container/cgroup.ts";
import type { Instance } from "../../node/instance.ts";
import { UpError } from "../error.ts";
import type { ChildSpec } from "./spec.ts";

export type Child = {
  readonly name: string;
  /** Its process now; undefined between two lives. */
  pid(): number | undefined;
  /** Settles when the child has ended for good: resolved after stop(), rejected with UpError when it cannot be kept running. */
  readonly ended: Promise<void>;
  /** Asks it to end, and makes it end after graceMs. */
  stop(graceMs: number): Promise<void>;
};

export type ChildDeps = {
  readonly instance: Instance;
  readonly world: World;
  readonly out: (line: string) => void;
  readonly isUp: () => boolean;
};

const BACKOFF = { baseMs: 100, maxMs: 10_000 };
const LIVED_WELL_MS = 20_000;
const MAX_LOG_BYTES = 16 * 1024 * 1024;
/** A child that ends this often before the cluster was ever up has something to say that waiting does not cure. */
const GIVE_UP = 4;

export const logPath = (instance: Instance, name: string): string => join(instance.dataDir, "logs", `${name}.log`);

/** Starts the child in a cgroup of its own below the instance's, so that whatever it starts ends with the instance. */
export const keepRunning = (spec: ChildSpec, deps: ChildDeps): Child => {
  const { instance, world, out } = deps;
  const stopping = new AbortController();
  let current: ChildProcess | undefined;
  const pids = join(instance.runDir, "pids");
  const cgroup = join(instance.cgroup, "system", spec.name);
  mkdirSync(pids, { recursive: true });
  createCgroup(cgroup);

  const once = async (): Promise<string> => {
    const { child, exit } = start(spec, { cgroup, log: logPath(instance, spec.name) });
    current = child;
    if (child.pid !== undefined) writeFileSync(join(pids, spec.name), `${child.pid}\n`);
    const how = await exit;
    current = undefined;
    return how;
  };
  const live = async (): Promise<void> => {
    for (let failures = 0; !stopping.signal.aborted; ) {
      const startedAt = world.now();
      const how = await once();
      if (stopping.signal.aborted) return;
      failures = world.now() - startedAt >= LIVED_WELL_MS ? 0 : failures + 1;
      if (!deps.isUp() && failures >= GIVE_UP)
        throw new UpError(`the ${spec.name} does not start (${how}): ${lastWords(logPath(instance, spec.name))}`);
      const wait = backoffMs(Math.max(0, failures - 1), world.random, BACKOFF);
      out(`${spec.name} ended (${how}); starting it again in ${(wait / 1000).toFixed(1)} s`);
      await pause(world, wait, stopping.signal);
    }
  };
  const ended = live();
  ended.catch(() => undefined); // looked at by whoever awaits it; never an unhandled rejection in between
  return {
    name: spec.name,
    pid: () => current?.pid,
    ended,
    stop: async (graceMs) => {
      stopping.abort(new Error("stopping"));
      current?.kill("SIGTERM");
      const grace = new AbortController();
      const hard = pause(world, graceMs, grace.signal).then(() => {
        if (!grace.signal.aborted) current?.kill("SIGKILL");
      });
      await ended.catch(() => undefined); // it had given up already; run.ts has told why
      grace.abort(new Error("ended"));
      await hard;
    },
  };
};

type Started = { readonly child: ChildProcess; readonly exit: Promise<string> };

/** Through a shell that first moves itself into the cgroup: no moment in which the child runs outside. */
const start = (spec: ChildSpec, at: { cgroup: string; log: string }): Started => {
  rotate(at.log);
  const log = openSync(at.log, "a", 0o600);
  try {
    const child = spawn("/bin/sh", ["-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', at.cgroup, ...spec.argv], {
      env: { ...spec.env },
      stdio: ["ignore", log, log],
      detached: true, // Ctrl-C in the terminal reaches the supervisor alone, which ends things in order
    });
    const exit = new Promise<string>((resolve) => {
      child.once("error", (e) => resolve(e.message));
      child.once("exit", (code, signal) => resolve(signal === null ? `exit code ${code}` : `killed by ${signal}`));
    });
    return { child, exit };
  } finally {
    closeSync(log);
  }
};

const rotate = (path: string): void => {
  if (existsSync(path) && statSync(path).size > MAX_LOG_BYTES) renameSync(path, `${path}.1`);
};

const lastWords = (path: string): string => {
  const lines = readFileSync(path, "utf8")
    .split("\n")
    .filter((l) => l.trim() !== "");
  // A stack trace's message stands before its frames.
  const words = lines.filter((l) => !/^\s+at |^Node\.js v|^\s*[\^}]/.test(l)).at(-1) ?? "it said nothing";
  return `${words.trim().slice(0, 300)} (all of it in ${path})`;
};

const pause = async (world: World, ms: number, signal: AbortSignal): Promise<void> => {
  try {
    await world.sleep(ms, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
};
