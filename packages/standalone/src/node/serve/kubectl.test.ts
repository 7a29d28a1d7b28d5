import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { buffer, text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { podCgroup } from "../instance.ts";
import { type NodeWorld, startNodeWorld } from "../testing/world.ts";

// The real kubectl through the real API server to a real node; what it speaks is chosen by its own switches.
const ID = `s${process.pid.toString(16)}`;
const DEADLINE_MS = 30_000;
const MiB = 1024 * 1024;
const sha = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

const PATTERN = Buffer.from(Array.from({ length: MiB }, (_, i) => (i * 31 + (i >> 8)) % 256));
const BIG_MIB = 30;
const BIG = sha(Buffer.concat(Array.from({ length: BIG_MIB }, () => PATTERN)));
const SERVER = `
  const pattern = Buffer.from(Array.from({ length: ${MiB} }, (_, i) => (i * 31 + (i >> 8)) % 256));
  const { Readable } = require("node:stream");
  require("node:http").createServer((q, a) => {
    if (q.url === "/big") Readable.from(Array.from({ length: ${BIG_MIB} }, () => pattern)).pipe(a);
    else if (q.url === "/cut") { a.write("half"); setImmediate(() => q.socket.resetAndDestroy()); }
    else q.pipe(a);
  }).listen(8080, "127.0.0.1", () => console.log("serving"));
`;

for (const [name, switches] of [
  ["WebSocket", {}],
  ["SPDY/3.1", { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: "false", KUBECTL_PORT_FORWARD_WEBSOCKETS: "false" }],
] as const)
  describe(`kubectl over ${name}`, () => {
    let world: NodeWorld;
    const started = new Set<ChildProcess>();
    const kubectl = (...args: string[]): ChildProcess & { stdin: NodeJS.WritableStream } => {
      const child = spawn("kubectl", args, {
        env: { PATH: process.env.PATH, HOME: "/nonexistent", KUBECONFIG: join(world.instance.dataDir, "kubeconfig"), ...switches },
        timeout: DEADLINE_MS,
      });
      child.stdin.on("error", () => {}); // it may leave before it has read all
      started.add(child);
      child.once("close", () => started.delete(child));
      return child;
    };
    /** Runs it to its end. */
    const run = async (args: readonly string[], input?: Uint8Array) => {
      const child = kubectl(...args);
      child.stdin.end(input);
      assert.ok(child.stdout !== null && child.stderr !== null);
      const [out, err, [code]] = await Promise.all([buffer(child.stdout), text(child.stderr), once(child, "close")]);
      return { out, err, code };
    };
    before(async () => {
      world = await startNodeWorld(ID);
      await world.run("p", { containers: [{ name: "c", image: "ambit/node", args: ["-e", SERVER] }] });
      await world.until("p", "ready", (p) => p.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") === true);
      // Its log says when it serves.
      const log = kubectl("logs", "-f", "p");
      assert.ok(log.stdout !== null);
      for await (const bytes of log.stdout) if (String(bytes).includes("serving")) break;
      log.kill();
    });
    after(async () => {
      for (const child of started) child.kill("SIGKILL");
      await world[Symbol.asyncDispose]();
    });

    test("exec: streams apart, exit codes, 20 MiB through cat", async () => {
      const both = await run(["exec", "p", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]);
      assert.deepEqual([both.code, both.out.toString(), both.err], [7, "out\n", "err\ncommand terminated with exit code 7\n"]);
      const input = randomBytes(20 * MiB);
      const cat = await run(["exec", "-i", "p", "--", "cat"], input);
      assert.deepEqual([cat.code, cat.out.length, sha(cat.out)], [0, input.length, sha(input)]);
      const unread = await run(["exec", "-i", "p", "--", "sh", "-c", "exec <&-; echo done"], input);
      assert.deepEqual([unread.code, unread.out.toString()], [0, "done\n"]);
      assert.equal((await run(["exec", "p", "-c", "none", "--", "true"])).code, 1);
    });

    test("exec: a client that is interrupted leaves no process", async () => {
      const uid = (await world.until("p", "there", () => true)).metadata.uid ?? "";
      const procs = (): number =>
        readFileSync(join(podCgroup(world.instance, "node1", uid), "c", "cgroup.procs"), "utf8").split("\n").length;
      const before = procs();
      const child = kubectl("exec", "p", "--", "sh", "-c", "trap '' INT TERM HUP; echo up; sleep 600");
      assert.ok(child.stdout !== null);
      await once(child.stdout, "data");
      assert.ok(procs() > before);
      child.kill("SIGINT");
      await once(child, "close");
      // The kernel tells nobody when a cgroup shrinks by one: a second exec comes after the first's end was seen.
      const signal = AbortSignal.timeout(5000);
      while (procs() > before && !signal.aborted) await run(["exec", "p", "--", "true"]);
      assert.equal(procs(), before);
    });

    test("port-forward: many connections at once, large, cut, refused", async () => {
      const child = kubectl("port-forward", "pod/p", ":8080", ":9", "--address=127.0.0.1");
      assert.ok(child.stdout !== null && child.stderr !== null);
      const ports = new Map<string, number>();
      let said = "";
      const told = text(child.stderr);
      child.stdout.on("data", (bytes: Buffer) => {
        said += bytes.toString();
        for (const [, local = "", remote = ""] of said.matchAll(/127\.0\.0\.1:(\d+) -> (\d+)\n/g)) ports.set(remote, Number(local));
        if (ports.size === 2) child.emit("forwarding");
      });
      await once(child, "forwarding", { signal: AbortSignal.timeout(DEADLINE_MS) });
      const fetchFrom = (path: string, options: { port?: number; body?: Uint8Array } = {}): Promise<Buffer> =>
        new Promise((resolve, reject) => {
          const request = http.request({ host: "127.0.0.1", port: options.port ?? ports.get("8080"), path, method: "POST", agent: false });
          request.on("error", reject);
          request.on("response", (response) => buffer(response).then(resolve, reject));
          request.end(options.body);
        });
      const body = randomBytes(3 * MiB);
      const answers = await Promise.all([
        ...Array.from({ length: 3 }, () => fetchFrom("/big")),
        ...Array.from({ length: 12 }, () => fetchFrom("/echo", { body })),
      ]);
      assert.deepEqual(answers.map(sha), [...Array.from({ length: 3 }, () => BIG), ...Array.from({ length: 12 }, () => sha(body))]);
      // A client that leaves in the middle, and a pod that does, end their own connection only.
      const leaving = http.get({ host: "127.0.0.1", port: ports.get("8080"), path: "/big", agent: false });
      const [response]: http.IncomingMessage[] = await once(leaving, "response");
      response?.destroy();
      await assert.rejects(fetchFrom("/cut"));
      assert.equal((await fetchFrom("/echo", { body: Buffer.from("after") })).toString(), "after");
      // kubectl itself gives up when the pod takes no connection, and says why.
      const closed = once(child, "close");
      await assert.rejects(fetchFrom("/", { port: ports.get("9") ?? 0 }));
      await closed;
      assert.match(await told, /error forwarding port 9: .*ECONNREFUSED/);
    });
  });
