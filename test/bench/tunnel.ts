// How fast are tunnels of our own framing beside those of node:http2? (loopback, mTLS, each end its own process; prints ratios)
// The CPU both ends used counts beside the time: on a machine that others use too, it is the steadier of the two.
// `node test/bench/tunnel.ts [repetitions] [which, as a regular expression]`. To profile a child: BENCH_NODE_OPTIONS="--cpu-prof --cpu-prof-dir=/tmp/prof".

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { connect as connectHttp2, performServerHandshake } from "node:http2";
import { connect as connectTcp, createServer } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls, createSecureContext, createServer as createTls, type TLSSocket } from "node:tls";
import { parseIp } from "@ambit/shared/addr/ip.ts";
import { testAuthority } from "@ambit/shared/ca/fixture.ts";
import type { WorkloadCert } from "@ambit/shared/ca/types.ts";
import { workloadCert } from "@ambit/shared/ca/workload-cert.ts";
import { EndDuplex } from "@ambit/shared/copy/duplex.ts";
import type { End } from "@ambit/shared/copy/end.ts";
import { splice } from "@ambit/shared/copy/splice.ts";
import { serveTunnels } from "@ambit/shared/hbone/accept.ts";
import { createTunnelPool } from "@ambit/shared/hbone/pool.ts";
import { type SpiffeId, spiffeId } from "@ambit/shared/identity/spiffe.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { contextOptions, type TlsMaterial } from "@ambit/shared/tls/context.ts";
import { tunnelOf } from "./node-http2-tunnel.ts";
import { roundTrips, send } from "./streams.ts";

const KINDS = ["own", "node:http2"] as const;
type Kind = (typeof KINDS)[number];
/**
 * "relay": TCP → tunnel → TCP as a mesh has it, both ends splicing. "send": from one end of a tunnel to the other. Both in octets per second.
 * "trip": 1 KB there and back over the relay; "echo": through a tunnel alone. Microseconds, at the quantile `at`.
 */
type Work = { readonly t: "relay" | "trip" | "send" | "echo"; readonly streams: number; readonly ms: number; readonly at?: number };
type Start = {
  readonly role: "client" | "server";
  readonly kind: Kind;
  readonly tls: TlsMaterial;
  readonly port: number;
  readonly sink: number;
};

const MIB = 1 << 20;
const CHUNK = 65_536;
const world = realWorld();
const http2Settings = { initialWindowSize: 4 * MIB, maxFrameSize: MIB };
const quantile = (values: readonly number[], at = 0.5): number => [...values].sort((a, b) => a - b)[Math.floor(values.length * at)] ?? 0;
const median = (values: readonly number[]): number => quantile(values);

const idOf = (name: string): SpiffeId => spiffeId("cluster.local", "ns", name);
const certOf = (name: string, { keyPem, chainPem, rootsPem }: TlsMaterial): WorkloadCert =>
  unwrap(workloadCert(idOf(name), { keyPem, certChain: [...chainPem, rootsPem.join("\n")] }));

const NO_METER = { add: () => undefined };
const relay = (a: End | Duplex, b: End | Duplex): void => void splice(a, b, { forward: NO_METER, backward: NO_METER });

const streamOf = (end: End | Duplex): Duplex => (end instanceof Duplex ? end : new EndDuplex(end));

/** Counts what comes and says how much it was, gives it back, or passes it on to the sink. */
const serveStream = (end: End | Duplex, how: string, sink: number): void => {
  if (how === "relay") {
    const socket = connectTcp({ port: sink, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
    return void socket.once("connect", () => relay(end, socket));
  }
  const stream = streamOf(end);
  stream.on("error", () => undefined);
  if (how === "echo") return void stream.on("data", (c) => stream.write(c));
  let octets = 0;
  stream.on("data", (c: Buffer) => {
    octets += c.length;
  });
  stream.once("end", () => stream.end(String(octets)));
};

/** What the proxies use: our records, our framing. */
const serveOwn = async (start: Start): Promise<number> => {
  const cert = certOf("server", start.tls);
  const server = await serveTunnels({
    listen: { host: "127.0.0.1", port: 0 },
    certs: () => cert,
    trustDomain: "cluster.local",
    onRequest: (r) => serveStream(r.open({}), r.headers.how ?? "", start.sink),
    world,
    log: () => undefined,
  });
  return server.address.port;
};

const dialOwn = (start: Start): ((how: string) => Promise<End | Duplex>) => {
  const cert = certOf("client", start.tls);
  const pool = createTunnelPool({
    cert: async () => cert,
    dial: async ({ port }) => {
      const socket = connectTcp({ port, host: "127.0.0.1", noDelay: true });
      await once(socket, "connect");
      return socket;
    },
    world,
  });
  const to = { ip: unwrap(parseIp("127.0.0.1")), port: start.port };
  const target = { self: idOf("client"), expect: [idOf("server")], to, from: "" };
  return async (how) => (await pool.connect(target, { authority: "10.0.0.9:80", headers: { how } })).end;
};

const serve = async (start: Start): Promise<void> => {
  process.on("message", () => process.send?.({ result: cpu() }));
  if (start.kind === "own") return void process.send?.({ port: await serveOwn(start) });
  const tls = createTls({ ...contextOptions(start.tls), requestCert: true, rejectUnauthorized: true, ALPNProtocols: ["h2"] });
  tls.on("secureConnection", (socket) => {
    socket.on("error", () => undefined);
    const session = performServerHandshake(socket, { maxSessionMemory: 256, settings: http2Settings });
    session.setLocalWindowSize(16 * MIB);
    session.on("stream", (stream, headers) => {
      stream.respond({ ":status": 200 });
      serveStream(tunnelOf(stream), String(headers.how), start.sink);
    });
  });
  const tcp = createServer({ noDelay: true }, (socket) => tls.emit("connection", socket)).listen(0, "127.0.0.1");
  await once(tcp, "listening");
  process.send?.({ port: (tcp.address() as { port: number }).port });
};

/** Opens a stream on one connection. */
const dial = async (start: Start): Promise<(how: string) => Promise<End | Duplex>> => {
  if (start.kind === "own") return dialOwn(start);
  const raw = connectTcp({ port: start.port, host: "127.0.0.1", noDelay: true });
  const socket: TLSSocket = connectTls({
    socket: raw,
    secureContext: createSecureContext(contextOptions(start.tls)),
    ALPNProtocols: ["h2"],
    checkServerIdentity: () => undefined,
  });
  await once(socket, "secureConnect");
  const session = connectHttp2("https://bench", { createConnection: () => socket, maxSessionMemory: 256, settings: http2Settings });
  session.once("connect", () => session.setLocalWindowSize(16 * MIB));
  await once(session, "remoteSettings");
  return async (how) => {
    const stream = session.request({ ":method": "CONNECT", ":authority": "10.0.0.9:80", how }, { endStream: false });
    await once(stream, "response");
    return tunnelOf(stream);
  };
};

/** Milliseconds of CPU since the last call. */
const cpu = (() => {
  let before = process.cpuUsage();
  return (): number => {
    const used = process.cpuUsage(before);
    before = process.cpuUsage();
    return (used.user + used.system) / 1000;
  };
})();

const text = async (stream: Duplex): Promise<string> => {
  let all = "";
  for await (const chunk of stream) all += String(chunk);
  return all;
};

const echo = (stream: Duplex, until: number): Promise<number[]> => {
  stream.on("error", () => undefined);
  return roundTrips(stream, until);
};

const client = async (start: Start): Promise<void> => {
  const open = await dial(start);
  process.on("message", async (work: Work | "cpu") => {
    if (work === "cpu") return void process.send?.({ result: cpu() });
    const streams = (await Promise.all(Array.from({ length: work.streams }, () => open(work.t)))).map(streamOf);
    for (const s of streams) s.on("error", () => undefined);
    const began = performance.now();
    const until = began + work.ms;
    if (work.t === "echo")
      return void process.send?.({ result: quantile((await Promise.all(streams.map((s) => echo(s, until)))).flat(), work.at) });
    for (const s of streams) send(s, until, CHUNK);
    const totals = await Promise.all(streams.map(text));
    const octets = totals.reduce((n, v) => n + Number(v), 0);
    process.send?.({ result: octets / ((performance.now() - began) / 1000) });
  });
  const tcp = createServer({ noDelay: true, allowHalfOpen: true }, async (socket) => relay(socket, await open("relay"))).listen(
    0,
    "127.0.0.1",
  );
  await once(tcp, "listening");
  process.send?.({ port: (tcp.address() as { port: number }).port });
};

/** Takes connections of the mesh's far side; told by `total` how much came when all of them have ended. */
const startSink = async () => {
  /** On: what comes is given back. */
  const echoes = { on: false };
  let octets = 0;
  let open = 0;
  let over = Promise.withResolvers<number>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    open += 1;
    socket.on("error", () => undefined);
    socket.on("data", (c) => {
      octets += c.length;
      if (echoes.on) socket.write(c);
    });
    socket.once("end", () => {
      socket.end();
      open -= 1;
      if (open === 0) over.resolve(octets);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const total = async (): Promise<number> => {
    const all = await over.promise;
    over = Promise.withResolvers<number>();
    octets = 0;
    return all;
  };
  return { server, port: (server.address() as { port: number }).port, total, echoes };
};

const startChild = async (start: Start, children: ChildProcess[]): Promise<{ child: ChildProcess; port: number }> => {
  const execArgv = (process.env.BENCH_NODE_OPTIONS ?? "").split(" ").filter((a) => a !== "");
  const child = fork(import.meta.filename, ["child"], { execArgv });
  children.push(child);
  child.send(start);
  const [{ port }] = (await once(child, "message")) as [{ port: number }];
  return { child, port };
};

const inOctets = ({ t }: Work): boolean => t === "relay" || t === "send";
const gbit = (v: number): string => `${((v * 8) / 1e9).toFixed(2)} Gbit/s`;
const micro = (v: number): string => `${v.toFixed(0)} µs`;

/** near, far: milliseconds of CPU per gigabyte at the client and at the server. */
type Measured = { readonly speed: number; readonly near: number; readonly far: number };

const report = (title: string, work: Work, results: ReadonlyMap<Kind, readonly Measured[]>): void => {
  const shown = inOctets(work) ? gbit : micro;
  const middle = (kind: Kind, pick: (m: Measured) => number): number => median((results.get(kind) ?? []).map(pick));
  for (const [kind, all] of results) {
    const speeds = all.map((m) => m.speed);
    process.stdout.write(
      `${title}, ${kind}: min ${shown(Math.min(...speeds))}, median ${shown(median(speeds))}, max ${shown(Math.max(...speeds))}\n`,
    );
    if (inOctets(work))
      process.stdout.write(
        `  CPU per GB: sending ${middle(kind, (m) => m.near).toFixed(0)} ms, receiving ${middle(kind, (m) => m.far).toFixed(0)} ms\n`,
      );
  }
  const ratio = (pick: (m: Measured) => number): string => (middle("own", pick) / middle("node:http2", pick)).toFixed(2);
  const cost = inOctets(work) ? `; CPU: sending ${ratio((m) => m.near)}, receiving ${ratio((m) => m.far)}` : "";
  process.stdout.write(`${title}: own / node:http2 = ${ratio((m) => m.speed)}${cost} (medians, interleaved)\n`);
};

const main = async (repetitions: number, only: RegExp): Promise<void> => {
  const authority = testAuthority();
  const material = (name: string): TlsMaterial => {
    const { keyPem, chainPem, rootsPem } = authority.cert(idOf(name));
    return { keyPem, chainPem, rootsPem };
  };
  const children: ChildProcess[] = [];
  const clients = new Map<Kind, ChildProcess>();
  const servers = new Map<Kind, ChildProcess>();
  const doors = new Map<Kind, number>();
  const sink = await startSink();
  for (const kind of KINDS) {
    const start = { kind, sink: sink.port };
    const server = await startChild({ ...start, role: "server", tls: material("server"), port: 0 }, children);
    const near = await startChild({ ...start, role: "client", tls: material("client"), port: server.port }, children);
    servers.set(kind, server.child);
    clients.set(kind, near.child);
    doors.set(kind, near.port);
  }
  /** The load comes from this process, as an application would make it. */
  const relayed = async (kind: Kind, work: Work): Promise<number> => {
    const began = performance.now();
    for (let i = 0; i < work.streams; i++) {
      const socket = connectTcp({ port: doors.get(kind) ?? 0, host: "127.0.0.1", noDelay: true });
      socket.resume();
      send(socket, began + work.ms, CHUNK);
    }
    return (await sink.total()) / ((performance.now() - began) / 1000);
  };
  const tripped = async (kind: Kind, work: Work): Promise<number> => {
    sink.echoes.on = true;
    const took = await Promise.all(
      Array.from({ length: work.streams }, () =>
        echo(connectTcp({ port: doors.get(kind) ?? 0, host: "127.0.0.1", noDelay: true }), performance.now() + work.ms),
      ),
    );
    sink.echoes.on = false;
    return quantile(took.flat(), work.at);
  };
  const ask = async (child: ChildProcess | undefined, what: Work | "cpu"): Promise<number> => {
    if (child === undefined) throw new Error("nobody to ask");
    child.send(what);
    const [{ result }] = (await once(child, "message")) as [{ result: number }];
    return result;
  };
  const measure = async (kind: Kind, work: Work): Promise<Measured> => {
    const both = [clients.get(kind), servers.get(kind)];
    for (const child of both) await ask(child, "cpu");
    const speed = await (work.t === "relay" ? relayed(kind, work) : work.t === "trip" ? tripped(kind, work) : ask(clients.get(kind), work));
    const [near, far] = [await ask(both[0], "cpu"), await ask(both[1], "cpu")];
    const gigabytes = (speed * work.ms) / 1000 / 1e9;
    return { speed, near: near / gigabytes, far: far / gigabytes };
  };
  const works: readonly (readonly [string, Work])[] = [
    ["TCP over the tunnel, 1 stream", { t: "relay", streams: 1, ms: 1500 }],
    ["TCP over the tunnel, 8 streams", { t: "relay", streams: 8, ms: 1500 }],
    ["1 KB there and back over TCP, p50", { t: "trip", streams: 1, ms: 700 }],
    ["1 KB there and back over TCP, p99", { t: "trip", streams: 1, ms: 700, at: 0.99 }],
    ["the tunnel alone, 1 stream", { t: "send", streams: 1, ms: 1500 }],
    ["the tunnel alone, 8 streams", { t: "send", streams: 8, ms: 1500 }],
    ["1 KB there and back, p50", { t: "echo", streams: 1, ms: 700 }],
  ];
  for (const [title, work] of works.filter(([t]) => only.test(t))) {
    const results = new Map<Kind, Measured[]>(KINDS.map((k) => [k, []]));
    for (const kind of KINDS) await measure(kind, { ...work, ms: 500 });
    for (let i = 0; i < repetitions; i++) for (const kind of KINDS) results.get(kind)?.push(await measure(kind, work));
    report(title, work, results);
  }
  sink.server.close();
  for (const child of children) child.kill("SIGINT");
};

if (process.argv[2] === "child") {
  process.on("SIGINT", () => process.exit(0));
  process.on("disconnect", () => process.exit(0));
  process.once("message", (start: Start) => void (start.role === "server" ? serve(start) : client(start)));
} else await main(Number(process.argv[2] ?? 5), new RegExp(process.argv[3] ?? ""));
