// Which bad situations end the process at its start, each in one sentence? And does it listen in a network namespace?

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { envFrom } from "@ambit/shared/runtime/env.ts";
import { parseConfig } from "./config.ts";
import { at } from "./model/object.ts";
import { runKubectl } from "./testing/client.ts";

const MAIN = new URL("./main.ts", import.meta.url).pathname;

const inDir = (): { dir: string } & Disposable => {
  const dir = mkdtempSync(join(tmpdir(), "ambit-start-"));
  return { dir, [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }) };
};

const run = async (env: { [name: string]: string }): Promise<{ code: unknown; err: string }> => {
  const child = spawn(process.execPath, [MAIN], { env });
  let err = "";
  child.stderr.on("data", (d: Buffer) => {
    err += d.toString();
  });
  const [code]: unknown[] = await once(child, "close");
  return { code, err };
};

const oneSentence = (r: { code: unknown; err: string }, expected: RegExp): void => {
  assert.equal(r.code, 1);
  assert.match(r.err, expected);
  assert.equal(r.err.trim().split("\n").length, 1, r.err);
};

test("the environment: every mistake is told", () => {
  const bad = parseConfig(envFrom({ AMBIT_APISERVER_PORT: "99999", AMBIT_APISERVER_ADDRESS: "here" }));
  assert.equal(
    bad.ok ? "" : bad.error,
    'AMBIT_DATA_DIR is not set; AMBIT_APISERVER_ADDRESS="here": want an IP address; AMBIT_APISERVER_PORT="99999": want a whole number from 0 to 65535',
  );
  const good = parseConfig(envFrom({ AMBIT_DATA_DIR: "/d", AMBIT_FABRIC_NETNS: "/run/netns/x" }));
  assert.deepEqual(good.ok ? good.value.fabric : undefined, { netns: "/run/netns/x", address: "172.30.0.1", port: 6443 });
});

test("a port in use", async () => {
  using d = inDir();
  const holder = createServer().listen(0, "127.0.0.1");
  await once(holder, "listening");
  const address = holder.address();
  const port = typeof address === "object" && address !== null ? String(address.port) : "";
  oneSentence(await run({ AMBIT_DATA_DIR: d.dir, AMBIT_APISERVER_PORT: port }), /^ambit apiserver: port \d+ on 127\.0\.0\.1 is in use/);
  holder.close();
});

test("a data directory that is none, a damaged database, one of a newer version", async () => {
  using d = inDir();
  const file = join(d.dir, "file");
  writeFileSync(file, "");
  oneSentence(await run({ AMBIT_DATA_DIR: file, AMBIT_APISERVER_PORT: "0" }), /is not a directory$/m);
  oneSentence(await run({ AMBIT_DATA_DIR: "/proc/nothing", AMBIT_APISERVER_PORT: "0" }), /the data directory \/proc\/nothing/);
  const damaged = join(d.dir, "damaged");
  execFileSync("mkdir", [damaged]);
  writeFileSync(join(damaged, "ambit.db"), "no database at all, only text, again and again. ".repeat(100));
  oneSentence(await run({ AMBIT_DATA_DIR: damaged, AMBIT_APISERVER_PORT: "0" }), /is damaged or no database: restore it/);
  const newer = join(d.dir, "newer");
  execFileSync("mkdir", [newer]);
  const db = new DatabaseSync(join(newer, "ambit.db"));
  db.exec("PRAGMA user_version = 999; PRAGMA application_id = 1097687627; CREATE TABLE t (a)");
  db.close();
  oneSentence(await run({ AMBIT_DATA_DIR: newer, AMBIT_APISERVER_PORT: "0" }), /has schema version 999, made by a newer Ambit/);
});

test("keys and kubeconfigs are for their owner only, and are kept over a restart", async () => {
  using d = inDir();
  const start = async () => {
    const child = spawn(process.execPath, [MAIN], {
      env: { AMBIT_DATA_DIR: d.dir, AMBIT_APISERVER_PORT: "0", AMBIT_NODES: "2" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    for await (const line of createInterface({ input: child.stdout })) if (at(JSON.parse(line), "event") === "ready") break;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    assert.deepEqual(await ended, [0, null]);
  };
  await start();
  const files = [
    "kubeconfig",
    "controllers.kubeconfig",
    "node1.kubeconfig",
    "node2.kubeconfig",
    "pki/ca.key",
    "pki/sa.key",
    "pki/server.key",
    "pki/admin.key",
  ];
  for (const f of files) assert.equal(statSync(join(d.dir, f)).mode & 0o777, 0o600, f);
  const kept = files.filter((f) => f.startsWith("pki")).map((f) => readFileSync(join(d.dir, f), "utf8"));
  const admin = readFileSync(join(d.dir, "pki/admin.crt"), "utf8");
  await start();
  assert.deepEqual(
    files.filter((f) => f.startsWith("pki")).map((f) => readFileSync(join(d.dir, f), "utf8")),
    kept,
  );
  assert.equal(readFileSync(join(d.dir, "pki/admin.crt"), "utf8"), admin);
});

test("listens inside a network namespace as well, and only there on that address", async (t) => {
  using d = inDir();
  const ns = `t-a1-${process.pid}`;
  execFileSync("ip", ["netns", "add", ns]);
  t.after(() => execFileSync("ip", ["netns", "del", ns]));
  execFileSync("ip", ["-n", ns, "link", "set", "lo", "up"]);
  execFileSync("ip", ["-n", ns, "addr", "add", "172.30.0.1/32", "dev", "lo"]);
  const env = { AMBIT_DATA_DIR: d.dir, AMBIT_APISERVER_PORT: "0", AMBIT_FABRIC_NETNS: `/run/netns/${ns}` };
  const child = spawn(process.execPath, [MAIN], { env, stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  for await (const line of createInterface({ input: child.stdout })) if (at(JSON.parse(line), "event") === "ready") break;
  const inside = execFileSync(
    "ip",
    ["netns", "exec", ns, "kubectl", "--kubeconfig", join(d.dir, "node1.kubeconfig"), "get", "pods", "-A"],
    { stdio: "pipe" },
  );
  assert.equal(inside.toString(), "");
  assert.equal((await runKubectl(join(d.dir, "kubeconfig"), ["get", "--raw", "/readyz"])).out, "ok");
  const endpoints = await runKubectl(join(d.dir, "kubeconfig"), [
    "get",
    "endpointslice",
    "kubernetes",
    "-o",
    "jsonpath={.endpoints[0].addresses[0]}:{.ports[0].port}",
  ]);
  assert.equal(endpoints.out, "172.30.0.1:6443");
  const listening = execFileSync("ip", ["netns", "exec", ns, "ss", "-ltnH"]).toString();
  assert.match(listening, /172\.30\.0\.1:6443/);
});
