// What do our own TLS records cost beside TLSSocket? (loopback, mTLS: TCP → TLS → TCP through two processes, and 1 KB there and back)
// `node test/bench/records.ts [rounds] [milliseconds]`. Interleaved, medians; CPU is that of the two processes that speak TLS.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { connect as connectTls, createServer as createTls } from "node:tls";
import { testAuthority } from "@ambit/shared/ca/fixture.ts";
import { tcpEnd } from "@ambit/shared/copy/tcp.ts";
import type { Wire } from "@ambit/shared/hbone/wire.ts";
import { spiffeId } from "@ambit/shared/identity/spiffe.ts";
import { contextOptions, type TlsMaterial } from "@ambit/shared/tls/context.ts";
import { Handshake } from "@ambit/shared/tls/record/handshake.ts";
import { serverHandshakes } from "@ambit/shared/tls/record/server.ts";
import { roundTrips, send } from "./streams.ts";

const KINDS = ["records", "TLSSocket"] as const;
type Kind = (typeof KINDS)[number];
type Start = { readonly role: "near" | "far"; readonly kind: Kind; readonly tls: TlsMaterial; readonly to: number };

const cpu = (() => {
  let before = process.cpuUsage();
  return (): number => {
    const used = process.cpuUsage(before);
    before = process.cpuUsage();
    return (used.user + used.system) / 1e6;
  };
})();
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
const portOf = (server: { address(): unknown }): number => (server.address() as { port: number }).port;

/** Both ways, with back-pressure; a TLSSocket as Node's own pipe() has it. */
const relay = (socket: Socket, wire: Wire): void => {
  const tcp = tcpEnd(socket);
  if (tcp === undefined) throw new Error("the socket cannot be taken over");
  let writing = 0;
  wire.start({
    data: (chunk, lease) => {
      tcp.push(chunk, lease);
      if (tcp.flush() > 0) wire.pause();
    },
    end: () => tcp.end(),
    error: () => tcp.cut(),
    close: () => undefined,
  });
  tcp.start({
    data: (chunk) => {
      writing += 1;
      wire.write([chunk], () => {
        writing -= 1;
        if (writing === 0) tcp.resume();
      });
      if (writing > 0) tcp.pause();
    },
    flush: () => undefined,
    end: () => wire.end(),
    taken: () => wire.resume(),
    finished: () => undefined,
    closed: () => undefined,
  });
};

const far = async (start: Start): Promise<void> => {
  const tls = createTls({ ...contextOptions(start.tls), requestCert: true, rejectUnauthorized: true });
  const handshakes = serverHandshakes(tls);
  const dial = async (): Promise<Socket> => {
    const socket = connectTcp({ port: start.to, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
    await once(socket, "connect");
    return socket;
  };
  tls.on("secureConnection", async (socket) => {
    socket.on("error", () => undefined);
    const arrival = handshakes.of(socket);
    if (start.kind === "records" && arrival !== undefined) return relay(await dial(), await arrival.handshake.takeOver(socket));
    const out = await dial();
    out.on("error", () => undefined);
    out.pipe(socket).pipe(out);
  });
  const tcp = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    if (start.kind === "records") handshakes.accept(socket);
    else tls.emit("connection", socket);
  }).listen(0, "127.0.0.1");
  await once(tcp, "listening");
  process.send?.(portOf(tcp));
};

const near = async (start: Start): Promise<void> => {
  const tcp = createServer({ noDelay: true, allowHalfOpen: true, pauseOnConnect: true }, async (socket) => {
    socket.on("error", () => undefined);
    const raw = connectTcp({ port: start.to, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
    await once(raw, "connect");
    const handshake = start.kind === "records" ? new Handshake(raw, { role: "client" }) : undefined;
    const tls = connectTls({ socket: handshake ?? raw, ...contextOptions(start.tls), checkServerIdentity: () => undefined });
    tls.on("error", () => undefined);
    if (handshake !== undefined) tls.on("keylog", (line) => handshake.keylog(line));
    await once(tls, "secureConnect");
    if (handshake !== undefined) relay(socket, await handshake.takeOver(tls));
    else socket.pipe(tls).pipe(socket);
  }).listen(0, "127.0.0.1");
  await once(tcp, "listening");
  process.send?.(portOf(tcp));
};

const upload = async (port: number, until: number): Promise<void> => {
  const socket = connectTcp({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
  await once(socket, "connect");
  send(socket, until, 131_072);
  await once(socket.resume(), "end");
};

const echo = async (port: number, until: number): Promise<number[]> => {
  const socket = connectTcp({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  return roundTrips(socket, until);
};

const main = async (rounds: number, ms: number): Promise<void> => {
  const material = testAuthority().cert(spiffeId("cluster.local", "ns", "bench")) as TlsMaterial;
  const children: ChildProcess[] = [];
  let octets = 0;
  let echoing = false;
  const last = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    if (echoing) return void socket.pipe(socket);
    socket.on("data", (c) => {
      octets += c.length;
    });
    socket.once("end", () => socket.end());
  }).listen(0, "127.0.0.1");
  await once(last, "listening");
  const child = async (start: Start): Promise<{ port: number; cpu(): Promise<number> }> => {
    const made = fork(import.meta.filename, ["child"]);
    children.push(made);
    made.send(start);
    const [port] = await once(made, "message");
    const used = async (): Promise<number> => {
      made.send("cpu");
      return Number((await once(made, "message"))[0]);
    };
    return { port: Number(port), cpu: used };
  };
  const pairs = await Promise.all(
    KINDS.map(async (kind) => {
      const server = await child({ role: "far", kind, tls: { ...material }, to: portOf(last) });
      const client = await child({ role: "near", kind, tls: { ...material }, to: server.port });
      return {
        kind,
        server,
        client,
        gbit: [] as number[],
        out: [] as number[],
        into: [] as number[],
        p50: [] as number[],
        p99: [] as number[],
      };
    }),
  );
  for (let round = 0; round <= rounds; round++) {
    for (const pair of pairs) {
      octets = 0;
      echoing = false;
      await Promise.all([pair.client.cpu(), pair.server.cpu()]);
      const began = performance.now();
      await upload(pair.client.port, began + ms);
      const seconds = (performance.now() - began) / 1000;
      const [out, into] = await Promise.all([pair.client.cpu(), pair.server.cpu()]);
      echoing = true;
      const took = (await echo(pair.client.port, performance.now() + ms)).sort((a, b) => a - b);
      // The first round warms up.
      if (round === 0) continue;
      pair.gbit.push((octets * 8) / 1e9 / seconds);
      pair.out.push(out / (octets / 1e9));
      pair.into.push(into / (octets / 1e9));
      pair.p50.push(took[took.length >> 1] ?? 0);
      pair.p99.push(took[Math.floor(took.length * 0.99)] ?? 0);
    }
  }
  for (const p of pairs) {
    const [gbit, out, into, p50, p99] = [p.gbit, p.out, p.into, p.p50, p.p99].map(median) as [number, number, number, number, number];
    console.log(
      `${p.kind.padEnd(10)} ${gbit.toFixed(2)} Gbit/s, CPU-s/GB: TCP→TLS ${out.toFixed(2)}, TLS→TCP ${into.toFixed(2)}; 1 KB there and back p50 ${p50.toFixed(0)} µs, p99 ${p99.toFixed(0)} µs`,
    );
  }
  for (const c of children) c.kill();
  last.close();
};

if (process.argv[2] === "child") {
  process.once("message", (start: Start) => {
    void (start.role === "far" ? far(start) : near(start));
    process.on("message", () => process.send?.(cpu()));
  });
} else await main(Number(process.argv[2] ?? 3), Number(process.argv[3] ?? 2000));
