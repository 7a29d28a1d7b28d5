// Do bytes that are not HTTP pass a waypoint as they are?

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { aPort, createRig, listening, policy, type Rig, toService } from "./rig.ts";

const tcpBackend = async (serve: (socket: Socket) => void) => {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (s) => {
    sockets.add(s);
    s.on("error", () => undefined);
    serve(s);
  });
  const port = await listening(server);
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      for (const s of sockets) s.destroy();
      server.close();
    },
  };
};

const readAll = async (s: Socket): Promise<Buffer> => {
  const parts: Buffer[] = [];
  for await (const c of s) parts.push(c as Buffer);
  return Buffer.concat(parts);
};

/** Closed, by whatever means. */
const closed = (s: Socket): Promise<void> =>
  new Promise((resolve) => {
    s.on("error", () => undefined);
    s.on("close", () => resolve());
    s.resume();
  });

const failures = (rig: Rig): (string | undefined)[] => rig.tcp.map((r) => r.failure?.code);

const opaque = { ports: [aPort({ protocol: "TCP" })] };

test("a server that speaks first is heard, on a declared port and on an AUTO port", async () => {
  await using server = await tcpBackend((s) => s.end("220 ready\r\n"));
  for (const protocol of ["TCP", "AUTO"] as const) {
    await using rig = createRig({ service: { ports: [aPort({ protocol })] }, limits: { detectMs: 20 } });
    rig.backends("reviews", [server.port]);
    const s = connect(await rig.entry(), "127.0.0.1");
    assert.equal((await readAll(s)).toString(), "220 ready\r\n", protocol);
  }
});

test("half-close: the answer comes after the caller's end, 8 MB with equal hashes both ways", async () => {
  const back = randomBytes(8 << 20);
  let digest = "";
  await using server = await tcpBackend((s) => {
    const hash = createHash("sha256");
    s.on("data", (c) => hash.update(c));
    s.on("end", () => {
      digest = hash.digest("hex");
      s.end(back);
    });
  });
  await using rig = createRig({ service: opaque });
  rig.backends("reviews", [server.port]);
  const s = connect({ port: await rig.entry(), host: "127.0.0.1", allowHalfOpen: true });
  const forth = randomBytes(8 << 20);
  s.end(forth);
  const got = await readAll(s);
  assert.equal(digest, createHash("sha256").update(forth).digest("hex"));
  assert.equal(createHash("sha256").update(got).digest("hex"), createHash("sha256").update(back).digest("hex"));
  assert.equal(rig.tcp[0]?.received, forth.length);
});

test("an AUTO port: bytes that are no HTTP pass as they are, also when few and then ended", async () => {
  await using server = await tcpBackend((s) => s.pipe(s));
  await using rig = createRig({ service: { ports: [aPort({ protocol: "AUTO" })] } });
  rig.backends("reviews", [server.port]);
  const entry = await rig.entry();
  for (const bytes of ["\x00\x01\x02binary", "hello"]) {
    const s = connect({ port: entry, host: "127.0.0.1", allowHalfOpen: true });
    s.end(bytes);
    assert.equal((await readAll(s)).toString(), bytes);
  }
});

test("weights share connections; an invalid backend's share is refused; a denied caller is closed", async () => {
  await using v1 = await tcpBackend((s) => s.end("v1"));
  await using v2 = await tcpBackend((s) => s.end("v2"));
  let draw = 0;
  await using rig = createRig({
    service: { ports: [aPort({ protocol: "TCP", tcpBackends: [toService("v1", 3), toService("v2", 1)] })] },
    world: { random: () => draw },
  });
  rig.backends("v1", [v1.port]);
  rig.backends("v2", [v2.port]);
  const entry = await rig.entry();
  const got: string[] = [];
  for (draw of [0, 0.5, 0.74, 0.76]) got.push((await readAll(connect(entry, "127.0.0.1"))).toString());
  assert.deepEqual(got, ["v1", "v1", "v1", "v2"]);
  rig.push({ ports: [aPort({ protocol: "TCP", tcpBackends: [{ weight: 1, target: { kind: "invalid", reason: "x" }, filters: [] }] })] });
  await closed(connect(entry, "127.0.0.1"));
  assert.equal(failures(rig).includes("INVALID_BACKEND"), true);
  rig.push({ ...opaque, policies: [policy({ rules: [{ clauses: [] }] })] });
  await closed(connect(entry, "127.0.0.1"));
  assert.equal(failures(rig).includes("DENY"), true);
});

test("a policy that starts to deny closes the live connection", async () => {
  await using server = await tcpBackend((s) => s.pipe(s));
  await using rig = createRig({ service: opaque });
  rig.backends("reviews", [server.port]);
  const s = connect(await rig.entry(), "127.0.0.1");
  s.write("ping");
  await once(s, "data");
  rig.push({ ...opaque, policies: [policy({ action: "ALLOW", rules: [] })] });
  await closed(s);
  assert.equal(failures(rig).includes("DENY_LATE"), true);
});

test("what is not ours is refused before 200", async () => {
  await using rig = createRig();
  for (const authority of ["10.96.0.99:80", "10.96.0.50:81", "reviews.shop.svc.cluster.local:80", "nonsense", "10.244.2.9:15000"]) {
    await once(connect(await rig.entry(authority), "127.0.0.1").resume(), "close");
  }
  assert.deepEqual(rig.refusals, [404, 404, 400, 400, 404]);
});
