// Does a cluster come up, survive kills of its parts, and leave nothing behind?

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createKubeClient, loadKubeConfig } from "@ambit/shared/kube/client.ts";
import type { ConfigMap } from "@ambit/shared/kube/objects/core.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { findCgroupMount } from "../node/container/cgroup.ts";

// The real thing: root, namespaces, a cluster. Where it cannot run, these tests fail.
const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "t-up-"));
const data = join(dir, "data");
after(() => rmSync(dir, { recursive: true, force: true }));

type Up = {
  readonly child: ChildProcess;
  said(): string;
  line(pattern: RegExp): Promise<RegExpExecArray>;
  readonly exit: Promise<number | NodeJS.Signals>;
};

/** Starts the supervisor; line() resolves when its output has a match, and rejects when it ends before or after 40 s. */
const up = (...args: string[]): Up => {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  const listeners = new Set<() => void>();
  const hear = (c: Buffer): void => {
    said += c.toString();
    for (const l of listeners) l();
  };
  child.stdout?.on("data", hear);
  child.stderr?.on("data", hear);
  const exit = new Promise<number | NodeJS.Signals>((resolve) => child.on("close", (code, signal) => resolve(code ?? signal ?? 1)));
  const line = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const m = pattern.exec(said);
        if (m === null) return;
        listeners.delete(look);
        resolve(m);
      };
      listeners.add(look);
      const fail = (): void => reject(new Error(`no ${pattern} in:\n${said}`));
      AbortSignal.timeout(40_000).addEventListener("abort", fail, { once: true });
      void exit.then(fail);
      look();
    });
  return { child, said: () => said, line, exit };
};

/** As the CLI starts it: with a channel, in a process that is then killed. */
const parentOf = (...args: string[]): ChildProcess =>
  spawn(
    process.execPath,
    [
      "-e",
      `require("node:child_process").spawn(process.execPath, ${JSON.stringify([MAIN, ...args])}, { stdio: ["ignore", "inherit", "inherit", "ipc"] })`,
    ],
    { stdio: ["ignore", "pipe", "ignore"] },
  );

const READY = /API server (https:\/\/127\.0\.0\.1:\d+) · kubeconfig (\S+) · 1 node ready in [\d.]+ s\n/;
const instanceId = (): string => {
  const own = readdirSync("/run/ambit").find(
    (id) => existsSync(`/run/ambit/${id}/owner.json`) && readFileSync(`/run/ambit/${id}/owner.json`, "utf8").includes(data),
  );
  assert.ok(own !== undefined, "a registration in /run/ambit");
  return own;
};
const left = (id: string): string[] => [
  ...readdirSync("/run/netns").filter((n) => n.startsWith(`ambit-${id}-`)),
  ...(existsSync(`/run/ambit/${id}`) ? [`/run/ambit/${id}`] : []),
  ...(existsSync(`${findCgroupMount()}/ambit-${id}`) ? ["cgroup"] : []),
  ...readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((l) => l.includes(id)),
];

test("up, kill -9 of the API server, a second up, kill -9 of the supervisor, up again, Ctrl-C", { timeout: 180_000 }, async (t) => {
  const first = up("--nodes", "1", "--data", data, "--port", "0");
  const [, server, kubeconfig = ""] = await first.line(READY);
  const id = instanceId();
  const client = createKubeClient(loadKubeConfig({ kubeconfig }));
  const key = { namespace: "default", name: "kept" };
  await client.create<ConfigMap>(RESOURCES.configMaps, { metadata: key, data: { a: "b" } });

  await t.test("the API server killed comes back on its port with its data", async () => {
    process.kill(Number(readFileSync(`/run/ambit/${id}/pids/apiserver`, "utf8")), "SIGKILL");
    await first.line(/apiserver ended \(killed by SIGKILL\); starting it again/);
    const deadline = AbortSignal.timeout(20_000);
    for (;;) {
      try {
        assert.deepEqual((await client.get<ConfigMap>(RESOURCES.configMaps, key, deadline))?.data, { a: "b" });
        break;
      } catch (error) {
        if (deadline.aborted || !(error instanceof Error) || !error.message.startsWith("cannot reach")) throw error;
        await new Promise((resolve) => setImmediate(resolve)); // refused connections answer at once: ask until it listens
      }
    }
  });

  await t.test("a second up on the same data directory is refused in one sentence", async () => {
    const second = up("--nodes", "1", "--data", data, "--port", "0");
    assert.equal(await second.exit, 1);
    assert.match(
      second.said(),
      /^ambit up: another `ambit up` \(process \d+\) is running with the data directory .*: stop it first, or give another --data\n$/,
    );
  });

  await t.test("a port in use is refused in one sentence, and nothing is left", async () => {
    const holder = createServer();
    const port = await new Promise<number>((resolve) =>
      holder.listen(0, "127.0.0.1", () => resolve((holder.address() as { port: number }).port)),
    );
    const other = up("--nodes", "1", "--data", join(dir, "other"), "--port", String(port));
    assert.equal(await other.exit, 1);
    assert.equal(other.said(), `ambit up: port ${port} on 127.0.0.1 is in use by another program: give another with --port\n`);
    await new Promise((resolve) => holder.close(resolve));
  });

  await client.close();
  first.child.kill("SIGKILL");
  await first.exit;
  assert.ok(left(id).length > 0, "a killed supervisor leaves its cluster behind");

  const again = up("--nodes", "1", "--data", data, "--port", new URL(server ?? "").port);
  await again.line(/removed what an earlier run with .* left behind/);
  await again.line(READY);
  const fresh = createKubeClient(loadKubeConfig({ kubeconfig }));
  assert.deepEqual((await fresh.get<ConfigMap>(RESOURCES.configMaps, key))?.data, { a: "b" }, "nothing acknowledged is lost");
  await fresh.close();

  again.child.kill("SIGINT");
  assert.equal(await again.exit, 0);
  assert.deepEqual(left(id), []);
});

test("when the process that started it is killed, the cluster goes with it", { timeout: 90_000 }, async () => {
  const parent = parentOf("--nodes", "1", "--data", data, "--port", "0");
  await new Promise<void>((resolve, reject) => {
    let said = "";
    parent.stdout?.on("data", (c: Buffer) => {
      said += c.toString();
      if (READY.test(said)) resolve();
    });
    parent.on("exit", () => reject(new Error(`ended before it was ready: ${said}`)));
  });
  const id = instanceId();
  // Closed when the last process holding it is gone: the supervisor, after it has taken everything down.
  const closed = new Promise((resolve) => parent.stdout?.on("close", resolve));
  parent.kill("SIGKILL");
  await closed;
  assert.deepEqual(left(id), []);
});
