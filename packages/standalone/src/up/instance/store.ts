// How is an instance registered as ours, and how is everything of a dead one removed, and nothing else?

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { destroyCgroup } from "../../node/container/cgroup.ts";
import { type Instance, instanceOf } from "../../node/instance.ts";
import { removeNetwork } from "../../node/network/run.ts";
import { tryTool } from "../../node/tools/run.ts";
import { UpError } from "../error.ts";
import { mountsBelow } from "./mounts.ts";
import { isAlive, type Owner, ownerText, parseOwner, startTimeOf } from "./owner.ts";

const RUN = "/run/ambit";
const OWNER = "owner.json";

const readIfThere = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8");
  } catch (e) {
    if (e instanceof Error && "code" in e && (e.code === "ENOENT" || e.code === "ESRCH")) return undefined;
    throw e;
  }
};

const statOf = (pid: number): string | undefined => readIfThere(`/proc/${pid}/stat`);

/** Makes the data directory and names the instance after its real path. */
export const openInstance = (dataDir: string, cgroupMount: string): Instance => {
  try {
    mkdirSync(join(dataDir, "logs"), { recursive: true, mode: 0o700 });
  } catch (e) {
    throw new UpError(`cannot make the data directory ${dataDir}: ${e instanceof Error ? e.message : String(e)}`);
  }
  const real = realpathSync(dataDir);
  const id = createHash("sha256").update(real).digest("hex").slice(0, 6);
  return instanceOf(id, { dataDir: real, cgroupMount });
};

/** The living owner of an instance; undefined when nobody is. */
const livingOwner = (runDir: string): Owner | undefined => {
  const text = readIfThere(join(runDir, OWNER));
  const owner = text === undefined ? undefined : parseOwner(text);
  return owner !== undefined && isAlive(owner, statOf(owner.pid)) ? owner : undefined;
};

/** Registers this process as the owner, after removing what a dead owner left. Throws UpError when the owner lives. */
export const takeInstance = async (instance: Instance, signal: AbortSignal): Promise<{ cleaned: boolean }> => {
  const path = join(instance.runDir, OWNER);
  const refuse = (o: Owner): never => {
    throw new UpError(
      `another \`ambit up\` (process ${o.pid}) is running with the data directory ${instance.dataDir}: stop it first, or give another --data`,
    );
  };
  const living = livingOwner(instance.runDir);
  if (living !== undefined) refuse(living);
  const cleaned = existsSync(instance.runDir) || existsSync(instance.cgroup);
  await removeInstance(instance, signal);
  mkdirSync(instance.runDir, { recursive: true, mode: 0o755 });
  const startTime = startTimeOf(statOf(process.pid) ?? "");
  if (startTime === undefined) throw new Error(`cannot read the start time of process ${process.pid} from /proc`);
  try {
    writeFileSync(path, ownerText({ pid: process.pid, startTime, dataDir: instance.dataDir }), { flag: "wx" });
  } catch (e) {
    const other = livingOwner(instance.runDir); // one that started in this very moment
    if (other !== undefined) refuse(other);
    throw e;
  }
  return { cleaned };
};

/** Removes every other registered instance whose owner is dead; its ids. Its data directory stays. */
export const removeDeadInstances = async (own: Instance, signal: AbortSignal): Promise<string[]> => {
  if (!existsSync(RUN)) return [];
  const removed: string[] = [];
  for (const id of readdirSync(RUN)) {
    const runDir = join(RUN, id);
    if (id === own.id || !/^[0-9a-f]{6}$/.test(id) || !existsSync(join(runDir, OWNER)) || livingOwner(runDir) !== undefined) continue;
    const cgroupMount = own.cgroup.slice(0, own.cgroup.lastIndexOf("/"));
    await removeInstance(instanceOf(id, { dataDir: "", cgroupMount }), signal);
    removed.push(id);
  }
  return removed;
};

/** Ends all processes of the instance and removes its cgroups, namespaces, mounts and runtime directory. Calling it again does nothing. */
export const removeInstance = async (instance: Instance, signal: AbortSignal): Promise<void> => {
  if (existsSync(instance.cgroup)) await destroyCgroup(instance.cgroup, AbortSignal.any([signal, AbortSignal.timeout(20_000)]));
  await unmountBelow(instance.runDir);
  await removeNetwork(instance.id);
  rmSync(instance.runDir, { recursive: true, force: true });
};

/** A hostPath or an overlay may be bound below the runtime directory: deleting through it would delete what is not ours. */
const unmountBelow = async (dir: string): Promise<void> => {
  const now = (): string[] => mountsBelow(readFileSync("/proc/self/mountinfo", "utf8"), dir);
  for (const path of now()) await tryTool("umount", ["--lazy", "--no-mtab", path]);
  const left = now();
  if (left.length > 0) throw new Error(`cannot unmount ${left.join(", ")}: is something using it?`);
};
