// How is a container's process started, or found again after a restart of the kubelet, and its end awaited?

import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isAlive, makeFifo, type ProcessId, processStart, watchProcess } from "@ambit/shared/linux/process.ts";
import { createCgroup } from "./cgroup.ts";
import { type LaunchPlan, launchFiles, resolveInRoot } from "./launch.ts";

/** How a process ended. `known` is false for one that we found already running: its status went to another parent. */
export type Exit = {
  readonly code: number;
  readonly signal: number | undefined;
  readonly known: boolean;
  readonly launchError: string | undefined;
};

export type Running = { readonly id: ProcessId; readonly exited: Promise<Exit> };

const launchErrorOf = (dir: string): string | undefined => {
  let text: string;
  try {
    text = readFileSync(join(dir, "launch.err"), "utf8").trim();
  } catch (e) {
    if (e instanceof Error && "code" in e && e.code === "ENOENT") return undefined;
    throw e;
  }
  return text === "" ? undefined : text;
};

const codeOf = (e: unknown): unknown => (e instanceof Error && "code" in e ? e.code : undefined);

const readLink = (path: string): string | undefined => {
  try {
    return readlinkSync(path);
  } catch (e) {
    if (["EINVAL", "ENOENT", "ENOTDIR"].includes(String(codeOf(e)))) return undefined; // no link, or nothing there yet
    throw e;
  }
};

/** Writes the launcher's files and the output pipes into the container's runtime directory, afresh. */
export const prepareContainer = (asked: LaunchPlan): void => {
  const inRoot = (path: string): string => resolveInRoot(path, readLink);
  const plan = { ...asked, cwd: inRoot(asked.cwd), mounts: asked.mounts.map((m) => ({ ...m, target: inRoot(m.target) })) };
  rmSync(plan.dir, { recursive: true, force: true });
  mkdirSync(join(plan.dir, "fs"), { recursive: true, mode: 0o700 });
  for (const [name, text] of Object.entries(launchFiles(plan))) writeFileSync(join(plan.dir, name), text, { mode: 0o600 });
  makeFifo(join(plan.dir, "stdout"), 0o622);
  makeFifo(join(plan.dir, "stderr"), 0o622);
  createCgroup(plan.cgroup);
};

/**
 * Starts a prepared container, detached: it outlives this process. Resolves when the launcher runs; what goes wrong in it later
 * (a mount that fails, a command that does not exist) shows as its exit with `launchError`.
 */
export const startContainer = (plan: LaunchPlan): Promise<Running> =>
  new Promise((resolve, reject) => {
    const child = spawn("/bin/sh", [join(plan.dir, "launch.sh"), "outside"], { detached: true, stdio: "ignore", cwd: "/", env: {} });
    const exited = new Promise<Exit>((ended) => {
      child.once("exit", (code, signal) => {
        const number = signal === null ? undefined : constants.signals[signal];
        ended({ code: code ?? 128 + (number ?? 0), signal: number, known: true, launchError: launchErrorOf(plan.dir) });
      });
    });
    child.once("error", reject);
    child.once("spawn", () => {
      const pid = child.pid ?? 0;
      // A child that has ended already is a zombie until its exit event: it has no start time to find it by, and needs none.
      resolve({ id: { pid, startTicks: processStart(pid) ?? "0" }, exited });
      child.unref();
    });
  });

const LOOK_MS = 3;

/**
 * Resolves when the launcher has switched to the container's root: only then may anything be run "in the container". False when it
 * ended before. (There is no event to wait on: the switch is a chroot of another process; it takes some 20 ms.)
 */
export const enteredRoot = async (id: ProcessId, dir: string): Promise<boolean> => {
  while (isAlive(id)) {
    if (readLink(`/proc/${id.pid}/root`) === join(dir, "fs/root")) return true;
    await delay(LOOK_MS);
  }
  return false;
};

/** A process that an earlier kubelet started, if it still runs. */
export const adoptContainer = (id: ProcessId): Running | undefined => {
  if (!isAlive(id)) return undefined;
  const exited = new Promise<Exit>((resolve) => {
    watchProcess(id, () => resolve({ code: 137, signal: undefined, known: false, launchError: undefined }));
  });
  return { id, exited };
};

/** Sends a signal by number or name to the container's first process; false when it is gone. */
export const signalContainer = (id: ProcessId, signal: NodeJS.Signals): boolean => {
  if (!isAlive(id)) return false;
  process.kill(id.pid, signal);
  return true;
};
