// How does the event loop learn that a process which is not its child has ended?

import { readFileSync } from "node:fs";
import { errnoOf, LinuxError, trySyscall, watchFd } from "./client.ts";
import { closeFd } from "./socket.ts";

const SYS_PIDFD_OPEN = 434; // the same on every 64-bit architecture

/** A process for certain: a pid is used again, a pid with its start time (clock ticks since boot) is not. */
export type ProcessId = { readonly pid: number; readonly startTicks: string };

/** Reads field 22 of /proc/<pid>/stat; undefined when there is no such process (any more). */
export const processStart = (pid: number): string | undefined => {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch (e) {
    if (e instanceof Error && "code" in e && (e.code === "ENOENT" || e.code === "ESRCH")) return undefined;
    throw e;
  }
  // The command's name, in parentheses, may hold anything; the fields are counted from its end. A zombie has ended.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" ? undefined : fields[19];
};

export const isAlive = (id: ProcessId): boolean => processStart(id.pid) === id.startTicks;

/**
 * Calls `ended` once when the process is gone (later in this loop turn if it is already). Parks no thread, polls nothing (pidfd).
 * Returns what stops watching.
 */
export const watchProcess = (id: ProcessId, ended: () => void): { close(): void } => {
  const fd = trySyscall("syscall", SYS_PIDFD_OPEN, id.pid, 0, 0);
  if (fd < 0 && -fd !== errnoOf("ESRCH")) throw new LinuxError("pidfd_open", -fd, `pid ${id.pid}`);
  if (fd < 0 || !isAlive(id)) {
    if (fd >= 0) closeFd(fd);
    const immediate = setImmediate(ended);
    return { close: () => clearImmediate(immediate) };
  }
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    watcher.close();
    closeFd(fd);
  };
  const watcher = watchFd(fd, () => {
    close();
    ended();
  });
  return { close };
};

/** Makes a named pipe; one that is there already will do. */
export const makeFifo = (path: string, mode: number): void => {
  const result = trySyscall("mkfifo", path, mode);
  if (result < 0 && -result !== errnoOf("EEXIST")) throw new LinuxError("mkfifo", -result, path);
};
