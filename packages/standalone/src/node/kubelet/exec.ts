// How does a command run inside a container that runs already?

import { type ChildProcess, spawn } from "node:child_process";
import { readlinkSync } from "node:fs";
import { join } from "node:path";
import { isAlive, type ProcessId } from "@ambit/shared/linux/process.ts";
import { quote, type User } from "../container/launch.ts";

export type ExecTarget = {
  readonly id: ProcessId;
  readonly cgroup: string;
  readonly env: Readonly<Record<string, string>>;
  readonly user: User | undefined;
};

/** The shell text that joins the container's cgroup, namespaces, root and working directory and becomes the command. */
const execScript = (target: ExecTarget, argv: readonly string[]): string => {
  const user = target.user;
  const drop = user === undefined ? [] : ["/usr/bin/setpriv", `--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups"];
  const env = Object.entries(target.env).map(([name, value]) => quote(`${name}=${value}`));
  const enter = ["/usr/bin/nsenter", "-t", String(target.id.pid), "-m", "-n", "-u", "-r", "-w", "--"];
  return [
    `echo $$ >${quote(join(target.cgroup, "cgroup.procs"))} || exit 126`,
    `exec /usr/bin/env -i ${env.join(" ")} ${enter.join(" ")} ${[...drop, ...argv].map(quote).join(" ")}`,
  ].join("\n");
};

/** Starts the command with pipes on all three streams. Throws when the container is gone. */
export const execIn = (
  target: ExecTarget,
  argv: readonly string[],
  stdio: "pipe" | "ignore" | readonly number[] = "pipe",
): ChildProcess => {
  if (!isAlive(target.id)) throw new Error("the container does not run");
  // Before its launcher has switched roots, its namespaces are not yet its own: a command run there would run on the machine.
  if (readlinkSync(`/proc/${target.id.pid}/root`) === "/") throw new Error("the container is still being started");
  return spawn("/bin/sh", ["-c", execScript(target, argv)], {
    stdio: typeof stdio === "string" ? stdio : [...stdio],
    cwd: "/",
    env: {},
    detached: true,
  });
};

/** Ends an exec and what it started; nothing when it has ended already. */
export const killExec = (pid: number | undefined): void => {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (e) {
    if (!(e instanceof Error && "code" in e && e.code === "ESRCH")) throw e;
  }
};

export type ExecResult = { readonly code: number; readonly output: string };

/** Runs the command to its end, or kills it when the signal aborts; the last 4 KiB of its output. */
export const execToEnd = (target: ExecTarget, argv: readonly string[], signal: AbortSignal): Promise<ExecResult> =>
  new Promise((resolve, reject) => {
    const child = execIn(target, argv);
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        output = (output + text).slice(-4096);
      });
    child.stdin?.on("error", () => {}); // the command need not read
    child.stdin?.end();
    const stop = (): void => killExec(child.pid);
    signal.addEventListener("abort", stop, { once: true });
    child.once("error", reject);
    child.once("close", (code) => {
      signal.removeEventListener("abort", stop);
      if (signal.aborted) resolve({ code: 124, output: `command timed out: ${output}` });
      else resolve({ code: code ?? 137, output });
    });
  });
