// Are containers started, limited, logged and ended as asked, on the real kernel?

import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { isAlive } from "@ambit/shared/linux/process.ts";
import fc from "fast-check";
import { runTool } from "../tools/run.ts";
import { cgroupMount, destroyCgroup, findCgroupMount, killCgroup } from "./cgroup.ts";
import { type LaunchPlan, launchScript, quote, resolveInRoot } from "./launch.ts";
import { createLineSplitter, parseLogLine, selectLines } from "./log-lines.ts";
import { captureOutput, followLogs, readLogs } from "./logs.ts";
import { adoptContainer, prepareContainer, signalContainer, startContainer } from "./start.ts";

const NETNS = `t-node-${process.pid}`;
const within = (): AbortSignal => AbortSignal.timeout(5_000);

test("cgroup2 is found in a hybrid mount table, and its absence told", () => {
  assert.equal(cgroupMount("tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"), "/sys/fs/cgroup/unified");
  assert.equal(cgroupMount("proc /proc proc rw 0 0\n"), undefined);
});

test("any bytes become CRI lines and back, however they are cut", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "grapheme", maxLength: 40 }), { maxLength: 20 }), fc.array(fc.nat(30)), (texts, cuts) => {
      const lines = texts.map((t) => t.replaceAll("\n", " "));
      const bytes = Buffer.from(lines.map((l) => `${l}\n`).join(""));
      const splitter = createLineSplitter("stdout");
      const out: Buffer[] = [];
      let at = 0;
      for (const cut of cuts) {
        out.push(splitter.push(bytes.subarray(at, at + cut), "2026-01-01T00:00:00.000000000Z"));
        at += cut;
      }
      out.push(splitter.push(bytes.subarray(at), "2026-01-01T00:00:00.000000000Z"), splitter.end("x"));
      const parsed = Buffer.concat(out).toString().split("\n").slice(0, -1).map(parseLogLine);
      assert.deepEqual(
        parsed.map((l) => l?.text),
        lines,
      );
    }),
  );
});

test("a line of 40 000 bytes is kept in parts and counts as one", () => {
  const splitter = createLineSplitter("stderr");
  const text = Buffer.concat([splitter.push(Buffer.from(`first\n${"x".repeat(40_000)}\nlast`), "t"), splitter.end("t")]).toString();
  const lines = text.split("\n").flatMap((l) => parseLogLine(l) ?? []);
  assert.deepEqual(
    lines.map((l) => [l.full, l.text.length]),
    [
      [true, 5],
      [false, 16_384],
      [false, 16_384],
      [true, 7_232],
      [true, 4],
    ],
  );
  assert.equal(selectLines(lines, { tailLines: 2 }).length, 4);
  assert.equal(selectLines(lines, { tailLines: 0 }).length, 0);
});

test("links in a mount path are followed inside the container's root", () => {
  const links: Readonly<Record<string, string>> = { "/var/run": "/run", "/a/b": "../c", "/loop": "/loop", "/up": "../../../etc" };
  const resolve = (path: string): string => resolveInRoot(path, (p) => links[p]);
  assert.equal(resolve("/var/run/secrets/x"), "/run/secrets/x");
  assert.equal(resolve("/a/b/d"), "/c/d");
  assert.equal(resolve("/up/passwd"), "/etc/passwd");
  assert.equal(resolve("/../..//x/./"), "/x");
  assert.equal(resolve("/"), "/");
  assert.throws(() => resolve("/loop/x"), /too many/);
});

test("words survive the shell", async () => {
  for (const word of ["a b", "it's", '$HOME "x"', "a\nb", "\\", "*"])
    assert.equal(await runTool("/bin/sh", ["-c", `printf %s ${quote(word)}`]), word);
});

describe("real containers", () => {
  const base = mkdtempSync(join(tmpdir(), "ambit-container-"));
  const cgroup = join(findCgroupMount(), `ambit-test-${process.pid}`);
  before(async () => {
    await runTool("ip", ["netns", "add", NETNS]);
    mkdirSync(join(base, "config"));
    writeFileSync(join(base, "config", "key"), "value\n");
    writeFileSync(join(base, "hosts"), "127.0.0.1 here\n");
  });
  after(async () => {
    await destroyCgroup(cgroup, within());
    await runTool("ip", ["netns", "del", NETNS]);
    rmSync(base, { recursive: true });
    assert.ok(!readFileSync("/proc/mounts", "utf8").includes(base));
  });

  const plan = (name: string, argv: readonly string[], more: Partial<LaunchPlan> = {}): LaunchPlan => ({
    dir: join(base, name),
    cgroup: join(cgroup, name),
    netns: `/run/netns/${NETNS}`,
    hostSys: false,
    etc: { hosts: join(base, "hosts") },
    hostDirs: [],
    mounts: [],
    argv,
    env: { PATH: "/usr/bin:/bin", GREETING: "it's me" },
    cwd: "/",
    user: undefined,
    hostname: "box",
    ...more,
  });
  const run = async (p: LaunchPlan): Promise<{ code: number; log: string; launchError: string | undefined }> => {
    prepareContainer(p);
    const path = join(base, "logs", `${p.dir.split("/").at(-1)}`, "0.log");
    const sink = captureOutput(p.dir, path, Date.now);
    const running = await startContainer(p);
    const exit = await running.exited;
    if (exit.launchError === undefined) await sink.drained;
    else sink.close();
    return { code: exit.code, log: readLogs(path, { timestamps: false }), launchError: exit.launchError };
  };

  test("sees its own root, network, user, environment, volumes and /etc, and leaves nothing", async () => {
    const script =
      'cat /var/run/t/file; id -u; id -g; id -G; pwd; echo "$GREETING"; cat /etc/v/key; touch /etc/v/new || echo ro; ls /sys/class/net; cat /proc/self/cgroup | grep ^0; ls /tmp; touch /new; hostname; echo err >&2';
    const r = await run(
      plan("sees", ["sh", "-c", script], {
        mounts: [
          { source: join(base, "config"), target: "/etc/v", readOnly: true, kind: "directory" },
          { source: join(base, "hosts"), target: "/var/run/t/file", readOnly: true, kind: "file" },
        ],
        cwd: "/work dir",
        user: { uid: 1337, gid: 1337, groups: [] },
      }),
    );
    const lines = r.log.split("\n");
    assert.equal(r.launchError, undefined);
    assert.deepEqual(lines.slice(0, 7), ["127.0.0.1 here", "1337", "1337", "1337", "/work dir", "it's me", "value"]);
    assert.ok(lines.includes("ro"));
    assert.ok(lines.includes("lo") && lines.includes("box"));
    assert.ok(lines.some((l) => l.endsWith(`/ambit-test-${process.pid}/sees`)));
    assert.ok(lines.includes("err"));
    assert.ok(!existsSync("/new") && !existsSync("/run/t"));
    assert.ok(!readFileSync("/proc/mounts", "utf8").includes(base));
  });

  test("its exit code, a signal, a missing command and a missing volume are told apart", async () => {
    assert.equal((await run(plan("seven", ["sh", "-c", "exit 7"]))).code, 7);
    assert.equal((await run(plan("term", ["sh", "-c", "kill -TERM $$"]))).code, 143);
    const missing = await run(plan("missing", ["no-such-command"]));
    assert.equal(missing.code, 127);
    assert.match(missing.log, /no-such-command/);
    const volume = await run(
      plan("volume", ["true"], { mounts: [{ source: "/no/such", target: "/v", readOnly: false, kind: "directory" }] }),
    );
    assert.notEqual(volume.code, 0);
    assert.match(volume.launchError ?? "", /\/no\/such/);
  });

  test("starting takes well under 100 ms", async () => {
    const start = performance.now();
    await run(plan("quick", ["true"]));
    assert.ok(performance.now() - start < 500, `${performance.now() - start} ms`);
  });

  test("it can be adopted, its log followed, ended by a signal or with all its children", async () => {
    const p = plan("long", ["sh", "-c", "trap 'echo bye; exit 3' TERM; echo one; sleep 1000 & echo two; wait"]);
    prepareContainer(p);
    const path = join(base, "logs", "long", "0.log");
    const sink = captureOutput(p.dir, path, Date.now);
    const running = await startContainer(p);
    const adopted = adoptContainer(running.id);
    assert.ok(adopted !== undefined);
    const ended = new AbortController();
    let text = "";
    let asked = false;
    for await (const part of followLogs(path, { timestamps: false }, AbortSignal.any([ended.signal, within()]))) {
      text += part;
      if (text.includes("two") && !asked) {
        asked = true;
        assert.ok(signalContainer(running.id, "SIGTERM"));
        void running.exited.then(async () => {
          killCgroup(p.cgroup);
          await sink.drained;
          ended.abort();
        });
      }
    }
    assert.equal(text, "one\ntwo\nbye\n");
    assert.equal((await running.exited).code, 3);
    assert.deepEqual(await adopted.exited, { code: 137, signal: undefined, known: false, launchError: undefined });
    assert.ok(!isAlive(running.id));
    await destroyCgroup(p.cgroup, within());
    assert.ok(!existsSync(p.cgroup));
    assert.equal(adoptContainer(running.id), undefined);
  });

  test("the script joins the cgroup before anything else", () => {
    const lines = launchScript(plan("order", ["x"])).split("\n");
    assert.ok(lines.findIndex((l) => l.includes("cgroup.procs")) < lines.findIndex((l) => l.includes("nsenter")));
    assert.equal(readdirSync(base).includes("order"), false);
  });
});
