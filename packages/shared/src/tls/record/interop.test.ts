// Do our records speak with node:tls and with openssl's own programs, as client and as server?

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { connect as connectTls, createServer as createTls, type TLSSocket } from "node:tls";
import { testAuthority } from "../../ca/fixture.ts";
import { spiffeId } from "../../identity/spiffe.ts";
import { contextOptions } from "../context.ts";
import type { RecordConnection } from "./connection.ts";
import { dialRecords, listen, portOf, recordsOver, serveRecords } from "./fixture.ts";

type Test = { after(f: () => void): void };
const TIMEOUT = { timeout: 60_000 };
const SUITES = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"] as const;
const authority = testAuthority();
const tls = contextOptions(authority.cert(spiffeId("cluster.local", "ns", "peer")));
const nothing = (): void => undefined;

/** node:tls at one end, our records at the other. */
const withServer = async (t: Test, options: object = {}): Promise<[RecordConnection, TLSSocket]> => {
  const server = createTls({ ...tls, requestCert: true, rejectUnauthorized: true, ALPNProtocols: ["h2"], allowHalfOpen: true, ...options });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const theirs = once(server, "secureConnection") as Promise<[TLSSocket]>;
  const ours = await dialRecords(portOf(server), tls);
  const [socket] = await theirs;
  server.close();
  t.after(() => {
    ours.destroy();
    socket.destroy();
  });
  return [ours, socket];
};
const withClient = async (t: Test, options: object = {}, server: object = {}): Promise<[RecordConnection, TLSSocket]> => {
  const ours = Promise.withResolvers<RecordConnection>();
  const port = await serveRecords(t, { ...tls, requestCert: true, rejectUnauthorized: true, ...server }, ours.resolve);
  const raw = connectTcp({ port, host: "127.0.0.1", allowHalfOpen: true });
  const socket = connectTls({ socket: raw, ...tls, ALPNProtocols: ["h2"], checkServerIdentity: () => undefined, ...options });
  await once(socket, "secureConnect");
  t.after(() => socket.destroy());
  const connection = await ours.promise;
  t.after(() => connection.destroy());
  return [connection, socket];
};
const PEERS = [
  { name: "a node:tls server", pair: withServer },
  { name: "a node:tls client", pair: withClient },
];

/** All of it through the connection, under back-pressure. */
const pour = (connection: RecordConnection, all: Buffer, size: number): void => {
  let at = 0;
  const more = (): void => {
    if (at >= all.length) return void connection.end();
    const part = all.subarray(at, at + size);
    at += part.length;
    connection.write([part.subarray(0, 9), part.subarray(9)], () => setImmediate(more));
  };
  more();
};
const hashOf = async (socket: TLSSocket): Promise<string> => {
  const hash = createHash("sha256");
  socket.on("data", (c) => hash.update(c));
  await once(socket, "end");
  return hash.digest("hex");
};

for (const { name, pair } of PEERS)
  for (const ciphers of SUITES)
    test(`${name}, ${ciphers}: 100 MB each way at once, with equal hashes`, TIMEOUT, async (t) => {
      const [ours, theirs] = await pair(t, { ciphers });
      assert.equal(theirs.getCipher().standardName, ciphers);
      const all = randomBytes(100 << 20);
      const expected = createHash("sha256").update(all).digest("hex");
      const hash = createHash("sha256");
      const told = listen(ours, (c) => void hash.update(c));
      told.received.length = 0;
      const came = hashOf(theirs);
      pour(ours, all, 300_000);
      for (let at = 0; at < all.length; at += 1 << 20) {
        if (!theirs.write(all.subarray(at, at + (1 << 20)))) await once(theirs, "drain");
        told.received.length = 0;
      }
      theirs.end();
      assert.equal(await came, expected);
      await told.ended;
      assert.equal(hash.digest("hex"), expected);
      await told.closed;
      assert.deepEqual(told.told, ["end", "close"]);
    });

for (const { name, pair } of PEERS)
  test(`${name}: either half closes on its own`, TIMEOUT, async (t) => {
    for (const first of ["ours", "theirs"]) {
      const [ours, theirs] = await pair(t);
      const told = listen(ours);
      const ended = once(theirs.resume(), "end");
      if (first === "ours") {
        ours.end();
        await ended;
        theirs.end("after the end");
        assert.equal((await told.octets(13)).toString(), "after the end");
      } else {
        theirs.end();
        await told.ended;
        const last = once(theirs, "data");
        ours.write([Buffer.from("after the end")], () => ours.end());
        assert.equal(String((await last)[0]), "after the end");
      }
      await told.closed;
      assert.deepEqual(told.told, ["end", "close"]);
    }
  });

test("over a stream that is no socket, as a tunnel in a tunnel has it", TIMEOUT, async (t) => {
  const server = createTls({ ...tls, requestCert: true, rejectUnauthorized: true, ALPNProtocols: ["h2"] }, (socket) => socket.pipe(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const [near, far] = duplexPair({ allowHalfOpen: true });
  const outer = connectTcp({ port: portOf(server), host: "127.0.0.1", allowHalfOpen: true });
  outer.on("error", nothing);
  far.on("error", nothing);
  far.pipe(outer).pipe(far);
  const ours = await recordsOver(near, tls);
  const told = listen(ours);
  const all = randomBytes(5 << 20);
  pour(ours, all, 100_000);
  assert.ok((await told.octets(all.length)).equals(all));
  await told.ended;
  await told.closed;
  assert.deepEqual(told.told, ["end", "close"]);
});

test("a client that is cut off without close_notify is told of as an error", TIMEOUT, async (t) => {
  const [ours, theirs] = await withClient(t);
  const told = listen(ours);
  theirs.destroy();
  assert.equal(((await told.failed) as { code?: string }).code, "ECONNRESET");
});

/** Passes every octet on by itself. */
const dribble = async (t: Test, to: () => number): Promise<number> => {
  const relay = createServer({ noDelay: true }, (near) => {
    const far = connectTcp({ port: to(), host: "127.0.0.1", noDelay: true });
    for (const [from, into] of [
      [near, far],
      [far, near],
    ] as [Socket, Socket][]) {
      const queue: number[] = [];
      let busy = false;
      const next = (): void => {
        const octet = queue.shift();
        busy = octet !== undefined;
        if (octet !== undefined) into.write(Buffer.from([octet]), () => setImmediate(next));
      };
      from.on("data", (c: Buffer) => {
        queue.push(...c);
        if (!busy) next();
      });
      from.on("error", nothing);
      from.on("close", () => into.destroy());
    }
  }).listen(0, "127.0.0.1");
  await once(relay, "listening");
  t.after(() => relay.close());
  return portOf(relay);
};

test("octet by octet: handshake and records, both ends ours", TIMEOUT, async (t) => {
  let target = 0;
  const port = await dribble(t, () => target);
  const server = Promise.withResolvers<RecordConnection>();
  target = await serveRecords(t, { ...tls, requestCert: true, rejectUnauthorized: true }, server.resolve);
  const client = await dialRecords(port, tls);
  const [ours, theirs] = [listen(client), listen(await server.promise)];
  const text = randomBytes(1500);
  client.write([text], nothing);
  (await server.promise).write([text], nothing);
  assert.deepEqual(await theirs.octets(1500), text);
  assert.deepEqual(await ours.octets(1500), text);
  client.destroy();
  (await server.promise).destroy();
});

test("tickets that the server sent are counted, however many they are, and a client reads past them", TIMEOUT, async (t) => {
  for (const options of [{}, { secureOptions: 0 }, { secureOptions: 0, ticketKeys: randomBytes(48) }]) {
    const tickets: Buffer[] = [];
    const [ours, theirs] = await withClient(t, {}, options);
    theirs.on("session", (s) => tickets.push(s));
    listen(ours);
    ours.write([Buffer.from("the first record")], nothing);
    const [data] = await once(theirs, "data");
    assert.equal(String(data), "the first record");
    const [client, server] = await withServer(t, options);
    server.write("to us");
    assert.equal((await listen(client).octets(5)).toString(), "to us");
  }
});

test("a client that sends with its Finished, all in one piece, loses nothing", TIMEOUT, async (t) => {
  const [ours, theirs] = await withClient(t);
  // Written as soon as the handshake is done, before the server has taken over.
  const told = listen(ours);
  theirs.write("at once");
  assert.equal((await told.octets(7)).toString(), "at once");
});

/** openssl with our certificate files; stopped at the end. */
const openssl = (t: Test, args: readonly string[]): ChildProcess & { all(): string; shows(what: RegExp): Promise<void> } => {
  const dir = mkdtempSync(join(tmpdir(), "ambit-records-"));
  const file = (name: string, text: unknown): string => {
    writeFileSync(join(dir, name), String(text));
    return join(dir, name);
  };
  const files = ["-cert", file("cert.pem", tls.cert), "-key", file("key.pem", tls.key), "-CAfile", file("ca.pem", tls.ca)];
  const child = spawn("openssl", [...args, ...files, "-tls1_3"], { stdio: ["pipe", "pipe", "pipe"] });
  let text = "";
  let check = nothing;
  for (const out of [child.stdout, child.stderr])
    out.on("data", (c) => {
      text += String(c);
      check();
    });
  t.after(() => {
    child.kill();
    rmSync(dir, { recursive: true });
  });
  const shows = (what: RegExp): Promise<void> =>
    new Promise((resolve) => {
      check = () => {
        if (what.test(text)) resolve();
      };
      check();
    });
  return Object.assign(child, { all: () => text, shows });
};
/** A command of openssl's, which wants it in a read of its own. */
const COMMANDS = ["k", "K"] as const;

test("openssl s_client: octets both ways, before and after its key updates", TIMEOUT, async (t) => {
  const ours = Promise.withResolvers<RecordConnection>();
  const port = await serveRecords(t, { ...tls, requestCert: true, rejectUnauthorized: true }, ours.resolve);
  const client = openssl(t, ["s_client", "-connect", `127.0.0.1:${port}`, "-alpn", "h2", "-verify_return_error"]);
  const connection = await ours.promise;
  const told = listen(connection, (c) => connection.write([Buffer.from("<"), c, Buffer.from(">")], nothing));
  await client.shows(/read R BLOCK|Verify return code: 0/);
  client.stdin?.write("hello\n");
  await client.shows(/<hello\n>/);
  for (const command of COMMANDS) {
    client.stdin?.write(`${command}\n`);
    await client.shows(/KEYUPDATE/);
    client.stdin?.write(`after ${command}\n`);
    await client.shows(new RegExp(`<after ${command}\n>`));
  }
  connection.updateKeys();
  client.stdin?.write("after ours\n");
  await client.shows(/<after ours\n>/);
  client.stdin?.write("Q\n");
  await told.ended;
  connection.end();
  await told.closed;
});

test("openssl s_server: octets both ways, before and after its key updates", TIMEOUT, async (t) => {
  const free = createServer().listen(0, "127.0.0.1");
  await once(free, "listening");
  const port = portOf(free);
  await once(free.close(), "close");
  const server = openssl(t, ["s_server", "-accept", String(port), "-alpn", "h2", "-Verify", "2", "-verify_return_error"]);
  await server.shows(/ACCEPT/);
  const connection = await dialRecords(port, tls);
  t.after(() => connection.destroy());
  const told = listen(connection);
  connection.write([Buffer.from("hello "), Buffer.from("server\n")], nothing);
  await server.shows(/hello server/);
  server.stdin?.write("from the server\n");
  assert.equal((await told.octets(16)).toString(), "from the server\n");
  let n = 16;
  for (const command of COMMANDS) {
    server.stdin?.write(`${command}\n`);
    const line = `after ${command}\n`;
    // It does not say that it has done so; but it has read the command before it shows this.
    connection.write([Buffer.from(`ours ${line}`)], nothing);
    await server.shows(new RegExp(`ours after ${command}`));
    server.stdin?.write(line);
    n += line.length;
    assert.equal((await told.octets(n)).subarray(-line.length).toString(), line);
  }
  connection.updateKeys();
  connection.write([Buffer.from("after ours\n")], nothing);
  await server.shows(/after ours/);
});
