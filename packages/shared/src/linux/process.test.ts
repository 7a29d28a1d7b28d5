// Is the end of a process told once?

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { isAlive, processStart, watchProcess } from "./process.ts";

const ended = (id: { pid: number; startTicks: string }): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("not told within 5 s")), 5_000);
    watchProcess(id, () => {
      clearTimeout(timer);
      resolve();
    });
  });

test("the end of a process is told once, whether it comes or has been", async () => {
  const fds = readdirSync("/proc/self/fd").length;
  const child = spawn("sleep", ["60"]);
  const exited = once(child, "exit");
  assert.ok(child.pid !== undefined);
  const startTicks = processStart(child.pid);
  assert.ok(startTicks !== undefined);
  const id = { pid: child.pid, startTicks };
  assert.ok(isAlive(id));
  assert.ok(!isAlive({ ...id, startTicks: "1" }), "another process with the same pid is not it");
  const told = ended(id);
  child.kill("SIGKILL");
  await Promise.all([told, exited]);
  assert.ok(!isAlive(id));
  await ended(id);
  assert.equal(processStart(2 ** 22 + 1), undefined);
  await new Promise(setImmediate);
  assert.ok(readdirSync("/proc/self/fd").length <= fds);
});
