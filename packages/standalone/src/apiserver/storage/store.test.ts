// Is what the store acknowledges durable, ordered, resumable and complete?

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { at, type KubeObject, objects, str } from "../model/object.ts";
import { createClient } from "../testing/client.ts";
import { openLog, StorageError } from "./log.ts";
import { APPLICATION_ID, MIGRATIONS } from "./migrations.ts";
import { openStore, type Store } from "./store.ts";

const B = "/configmaps";
const make = (name: string, value = ""): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace: "ns" },
  data: { value },
});

const inDir = (): { dir: string; path: string } & Disposable => {
  const dir = mkdtempSync(join(tmpdir(), "ambit-store-"));
  return { dir, path: join(dir, "ambit.db"), [Symbol.dispose]: () => rmSync(dir, { recursive: true }) };
};

const put = async (s: Store, name: string, value?: string): Promise<KubeObject> => {
  const staged = s.stage(B, `ns/${name}`, make(name, value));
  await staged.durable;
  return staged.object;
};

test("writes are visible only when durable, together, and survive a restart", async () => {
  using d = inDir();
  const store = openStore(openLog(d.path), { history: 100 });
  const heard: string[] = [];
  store.subscribe(B, (changes) => heard.push(changes.map((c) => c.key).join()));
  const first = store.stage(B, "ns/a", make("a"));
  const second = store.stage(B, "ns/b", make("b"));
  assert.equal(store.committed.get(B, "ns/a"), undefined);
  assert.equal(store.latest.get(B, "ns/a")?.metadata.name, "a");
  await Promise.all([first.durable, second.durable]);
  assert.deepEqual(heard, ["ns/a,ns/b"]);
  assert.equal(store.revision(), Number(second.object.metadata.resourceVersion));
  const before = store.revision();
  store.close();
  const again = openStore(openLog(d.path), { history: 100 });
  assert.deepEqual(
    again.committed.list(B).map((o) => o.metadata.name),
    ["a", "b"],
  );
  assert.equal(again.revision(), before);
  await put(again, "c");
  assert.ok(again.revision() > before);
  again.close();
});

test("history: resumes over a restart, is bounded, and says when it is too old", async () => {
  using d = inDir();
  const store = openStore(openLog(d.path), { history: 8 });
  await put(store, "a", "1");
  const start = store.revision();
  await put(store, "a", "2");
  await store.stage(B, "ns/a", undefined).durable;
  store.close();
  const again = openStore(openLog(d.path), { history: 8 });
  const missed = again.since(B, start) ?? [];
  assert.deepEqual(
    missed.map((c) => [c.type, str(at(c.object, "data", "value")), str(at(c.prev, "data", "value"))]),
    [
      ["MODIFIED", "2", "1"],
      ["DELETED", "2", "2"],
    ],
  );
  assert.deepEqual(
    again.snapshot(B, start)?.map((o) => at(o, "data", "value")),
    ["1"],
  );
  for (let i = 0; i < 20; i++) await put(again, "b", String(i));
  assert.equal(again.since(B, start), undefined);
  assert.equal(again.snapshot(B, start), undefined);
  assert.equal(again.since(B, again.floor())?.length, again.revision() - again.floor());
  const floor = again.floor();
  again.close();
  const third = openStore(openLog(d.path), { history: 8 });
  assert.equal(third.floor(), floor);
  assert.equal(third.since(B, floor - 1), undefined);
  third.close();
});

test("a commit that fails takes back the whole batch and tells its writers", async () => {
  using d = inDir();
  const real = openLog(d.path);
  const failures: string[] = [];
  const faulty = { broken: false };
  const store = openStore(
    {
      ...real,
      append: (entries, floor) => {
        if (faulty.broken) throw new StorageError("the disk is full");
        real.append(entries, floor);
      },
    },
    { history: 100, onFailure: (e) => failures.push(e.message) },
  );
  await put(store, "a", "1");
  faulty.broken = true;
  const revision = store.revision();
  const lost = [store.stage(B, "ns/a", make("a", "2")), store.stage(B, "ns/b", make("b"))];
  for (const l of lost) await assert.rejects(l.durable, /disk is full/);
  assert.deepEqual(failures, ["the disk is full"]);
  assert.equal(at(store.latest.get(B, "ns/a"), "data", "value"), "1");
  assert.equal(store.latest.get(B, "ns/b"), undefined);
  assert.equal(store.revision(), revision);
  faulty.broken = false;
  await put(store, "b");
  assert.equal(store.committed.list(B).length, 2);
  store.close();
});

test("databases that cannot be used are refused in one sentence", () => {
  using d = inDir();
  const other = new DatabaseSync(d.path);
  other.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${MIGRATIONS.length + 1}; CREATE TABLE t (a)`);
  other.close();
  assert.throws(() => openLog(d.path), /made by a newer Ambit; this one knows versions up to \d+$/);
  const foreign = join(d.dir, "foreign.db");
  const db = new DatabaseSync(foreign);
  db.exec("CREATE TABLE t (a)");
  db.close();
  assert.throws(() => openLog(foreign), /belongs to another program/);
  const garbage = join(d.dir, "garbage.db");
  writeFileSync(garbage, "this is no database, though it is long enough to be looked at as one".repeat(50));
  assert.throws(() => openLog(garbage), /is damaged or no database: restore it/);
  assert.throws(() => openLog(join(d.dir, "missing", "x.db")), /cannot be opened: its directory is missing/);
  const mine = openLog(join(d.dir, "mine.db"));
  assert.throws(() => openLog(join(d.dir, "mine.db")), /already running/);
  mine.close();
});

test("every schema version ever released migrates to the newest", () => {
  using d = inDir();
  for (let from = 0; from < MIGRATIONS.length; from++) {
    const path = join(d.dir, `v${from}.db`);
    const old = new DatabaseSync(path);
    for (const step of MIGRATIONS.slice(0, from)) old.exec(step);
    old.exec(`PRAGMA application_id = ${from === 0 ? 0 : APPLICATION_ID}; PRAGMA user_version = ${from}`);
    old.close();
    const log = openLog(path);
    assert.deepEqual(log.load().objects, []);
    log.close();
  }
});

type Child = { readonly url: string; kill(): Promise<void> };

const startChild = async (dir: string): Promise<Child> => {
  const main = new URL("../main.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [main], {
    env: { AMBIT_DATA_DIR: dir, AMBIT_APISERVER_PORT: "0", AMBIT_NODES: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const event: unknown = JSON.parse(line);
    if (at(event, "event") !== "ready") continue;
    return {
      url: String(at(event, "url")),
      kill: async () => {
        const ended = once(child, "exit");
        child.kill("SIGKILL");
        await ended;
      },
    };
  }
  throw new Error("the API server ended before it was ready");
};

const clientOf = (dir: string, url: string) => {
  const read = (file: string) => readFileSync(join(dir, "pki", file), "utf8");
  return createClient(url, { caPem: read("ca.crt"), certificatePem: read("admin.crt"), keyPem: read("admin.key") });
};

test("kill -9 under load: nothing acknowledged is lost, and a watch goes on where it was", async () => {
  using d = inDir();
  const path = "/api/v1/namespaces/default/configmaps";
  let child = await startChild(d.dir);
  const acknowledged = new Map<string, string>();
  let start = "";
  for (const round of [1, 2]) {
    const client = clientOf(d.dir, child.url);
    if (start === "") start = String(at((await client.call("GET", path)).body, "metadata", "resourceVersion"));
    let enough: () => void = () => {};
    const loaded = new Promise<void>((resolve) => {
      enough = resolve;
    });
    const writer = async (w: number): Promise<void> => {
      for (let i = 0; ; i++) {
        const name = `r${round}-w${w}-${i}`;
        const answer = await client.call("POST", path, { body: { metadata: { name } } });
        if (answer.code === 201) acknowledged.set(name, String(at(answer.body, "metadata", "resourceVersion")));
        if (i === 20) enough();
      }
    };
    const writers = [0, 1, 2, 3].map((w) => writer(w));
    const settled = Promise.allSettled(writers);
    await loaded;
    await child.kill();
    await settled;
    child = await startChild(d.dir);
  }
  const client = clientOf(d.dir, child.url);
  const stored = new Map(
    objects((await client.call("GET", path)).body.items).map((o) => [
      String(at(o, "metadata", "name")),
      String(at(o, "metadata", "resourceVersion")),
    ]),
  );
  for (const [name, rv] of acknowledged) assert.equal(stored.get(name), rv, name);
  assert.equal(new Set(stored.values()).size, stored.size, "no resourceVersion is used twice");
  await using watch = await client.watch(`${path}?watch=1&resourceVersion=${start}`);
  const seen = new Set<string>();
  while (seen.size < stored.size) seen.add(String(at((await watch.next()).object, "metadata", "name")));
  assert.deepEqual([...seen].sort(), [...stored.keys()].sort());
  await child.kill();
});

test("a full disk: refused in one sentence, nothing acknowledged lost, the server goes on", async (t) => {
  using d = inDir();
  const main = new URL("../main.ts", import.meta.url).pathname;
  // A mount namespace of its own: the small disk is gone with the process.
  const script = `mount -t tmpfs -o size=1500k tmpfs ${d.dir} && exec ${process.execPath} ${main}`;
  const child = spawn("unshare", ["--mount", "sh", "-c", script], {
    env: { PATH: process.env.PATH ?? "", AMBIT_DATA_DIR: d.dir, AMBIT_APISERVER_PORT: "0", AMBIT_NODES: "0" },
  });
  t.after(() => child.kill("SIGKILL"));
  const events: unknown[] = [];
  let url = "";
  for await (const line of createInterface({ input: child.stdout })) {
    events.push(JSON.parse(line));
    url = String(at(events.at(-1), "url"));
    if (at(events.at(-1), "event") === "ready") break;
  }
  const read = (file: string) => readFileSync(join(`/proc/${child.pid}/root`, d.dir, "pki", file), "utf8");
  const client = createClient(url, { caPem: read("ca.crt"), certificatePem: read("admin.crt"), keyPem: read("admin.key") });
  const path = "/api/v1/namespaces/default/configmaps";
  const kept: string[] = [];
  let refusal: unknown;
  for (let i = 0; i < 100 && refusal === undefined; i++) {
    const answer = await client.call("POST", path, { body: { metadata: { name: `c${i}` }, data: { k: "x".repeat(50_000) } } });
    if (answer.code === 201) kept.push(`c${i}`);
    else {
      assert.equal(answer.code, 500);
      refusal = answer.body.message;
    }
  }
  assert.match(String(refusal), /^the database .* cannot be written: the disk is full$/);
  assert.ok(kept.length > 0);
  const names = objects((await client.call("GET", path)).body.items).map((o) => at(o, "metadata", "name"));
  assert.deepEqual(names.sort(), kept.sort());
});
