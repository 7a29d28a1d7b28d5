// How are a container's processes held together, ended together, and known to be gone?

import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, type Stats, statSync, watch, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Where the unified hierarchy is mounted, from the text of /proc/mounts. */
export const cgroupMount = (mounts: string): string | undefined =>
  mounts
    .split("\n")
    .map((line) => line.split(" "))
    .find((fields) => fields[2] === "cgroup2")?.[1];

/** As cgroupMount, on this machine; throws one sentence when there is none. */
export const findCgroupMount = (): string => {
  const mount = cgroupMount(readFileSync("/proc/mounts", "utf8"));
  if (mount === undefined) throw new Error("no cgroup2 file system is mounted: mount one, e.g. at /sys/fs/cgroup");
  return mount;
};

export const createCgroup = (path: string): void => {
  mkdirSync(path, { recursive: true });
};

const absent = (e: unknown): boolean => e instanceof Error && "code" in e && (e.code === "ENOENT" || e.code === "ENODEV");

/** Sends SIGKILL to every process below the group; nothing when there is no such group. */
export const killCgroup = (path: string): void => {
  try {
    writeFileSync(join(path, "cgroup.kill"), "1");
  } catch (e) {
    if (!absent(e)) throw e;
  }
};

const populated = (path: string): boolean => {
  try {
    return readFileSync(join(path, "cgroup.events"), "utf8").includes("populated 1");
  } catch (e) {
    if (absent(e)) return false;
    throw e;
  }
};

/** Resolves when no process is left below the group; rejects when the signal aborts first. */
const cgroupEmpty = async (path: string, signal: AbortSignal): Promise<void> => {
  if (!populated(path)) return;
  await new Promise<void>((resolve, reject) => {
    const watcher = watch(join(path, "cgroup.events"));
    const done = (end: () => void): void => {
      watcher.close();
      signal.removeEventListener("abort", aborted);
      end();
    };
    const aborted = (): void => done(() => reject(new Error(`processes of ${path} are still there`, { cause: signal.reason })));
    const look = (): void => {
      if (!populated(path)) done(resolve);
    };
    watcher.on("change", look);
    watcher.on("error", (e) => (absent(e) ? done(resolve) : done(() => reject(e))));
    signal.addEventListener("abort", aborted, { once: true });
    look(); // between the first look and the watch it may have emptied
  });
};

/** Removes an empty group and the empty groups below it; nothing when there is no such group. */
export const removeCgroup = (path: string): void => {
  if (!existsSync(path)) return;
  for (const name of readdirSync(path)) {
    const child = join(path, name);
    const stat: Stats | undefined = statSync(child, { throwIfNoEntry: false });
    if (stat?.isDirectory() === true) removeCgroup(child);
  }
  rmdirSync(path);
};

/** Ends everything below the group and removes it. */
export const destroyCgroup = async (path: string, signal: AbortSignal): Promise<void> => {
  killCgroup(path);
  await cgroupEmpty(path, signal);
  removeCgroup(path);
};
