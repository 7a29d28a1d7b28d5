// What happens to a CONNECT: is it for us, which protocol does it carry, and who serves it?

import type { Duplex } from "node:stream";
import { parseIp } from "@ambit/shared/addr/ip.ts";
import { formatSocketAddr, parseHostPort } from "@ambit/shared/addr/socket.ts";
import { splice } from "@ambit/shared/copy/splice.ts";
import { RESCUE } from "@ambit/shared/errors/codes.ts";
import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { TunnelRequest } from "@ambit/shared/hbone/types.ts";
import { ANONYMOUS_TAKEN, clientBehind, isAnonymous } from "@ambit/shared/hbone/uncaptured.ts";
import type { Live } from "@ambit/shared/live/store.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { identityOf } from "@ambit/shared/state/types.ts";
import { linger } from "../bytes/linger.ts";
import { patience } from "../bytes/patience.ts";
import { type ByteStream, byteStream } from "../bytes/stream.ts";
import type { Addressed, Connection, Handler } from "../http/context.ts";
import { newReport } from "../http/context.ts";
import { failureResponse, isGrpc } from "../http/layers/rescue.ts";
import type { Serve } from "../http/message.ts";
import { type CallerTimes, serveHttp1 } from "../http1/server.ts";
import { serveHttp2 } from "../http2/server.ts";
import { failureOf, serveTcp, type TcpDeps } from "../tcp/serve.ts";
import { detect, detectHttp } from "./detect.ts";
import { addressedBy, type InboundTarget, type OwnedServices, planInbound, type Self } from "./target.ts";

/** A connection in flight, with what must be asked again when policies change. */
export type LiveConnection = { readonly connection: Connection; readonly target: InboundTarget; readonly protocol: "http" | "tcp" };

export type AcceptDeps = TcpDeps & {
  readonly self: Self;
  readonly owned: OwnedServices;
  readonly handler: Handler;
  readonly live: Live<LiveConnection>;
  readonly world: World;
  readonly detectMs: number;
  /** For callers of HTTP. */
  readonly times: CallerTimes;
  /** Aborts when we shut down. */
  readonly drain: AbortSignal;
  log(event: string, fields: object): void;
};

type Accepted = { readonly connection: Connection; readonly target: Exclude<InboundTarget, { kind: "refuse" }>; readonly duplex: Duplex };

const planFor = (r: TunnelRequest, d: AcceptDeps): InboundTarget => {
  const at = parseHostPort(r.authority);
  if (r.method !== "CONNECT") return { kind: "refuse", code: "BAD_REQUEST", detail: `${r.method} is not CONNECT` };
  if (!at.ok) return { kind: "refuse", code: "BAD_REQUEST", detail: `the authority ${at.error}` };
  const ip = parseIp(at.value.host);
  return planInbound(ip.ok ? { ip: ip.value, port: at.value.port } : { hostname: at.value.host, port: at.value.port }, d);
};

/** Whatever is addressed, as of now; undefined when a push has taken it away. */
const lookUp = (a: Pick<Accepted, "target">, d: AcceptDeps): Addressed | undefined => addressedBy(a.target, d);

const serveRequests =
  (a: Accepted, d: AcceptDeps): Serve =>
  async (exchange) => {
    const addressed = lookUp(a, d);
    if (addressed === undefined) {
      exchange.request.body.cancel();
      return failureResponse(new MeshError("UNOWNED_DESTINATION", "the service is not served here any more"), isGrpc(exchange.request));
    }
    return d.handler({
      connection: a.connection,
      addressed,
      addressedNow: () => lookUp(a, d),
      exchange,
      startedAt: d.world.now(),
      report: newReport(),
      signal: exchange.signal,
      request: exchange.request,
      plan: undefined,
    });
  };

const joinUpgraded = async (downstream: Duplex, upstream: Duplex, until: AbortSignal | undefined): Promise<Error | undefined> => {
  const uncounted = { add: () => undefined };
  return failureOf(
    await splice(downstream, upstream, { forward: uncounted, backward: uncounted, ...(until === undefined ? {} : { signal: until }) }),
  );
};

const serveHttp = async (a: Accepted, version: "http1" | "http2", use: { io: ByteStream; d: AcceptDeps }): Promise<void> => {
  const { io, d } = use;
  const serve = serveRequests(a, d);
  const source = formatSocketAddr(a.connection.source);
  if (version === "http2") {
    const malformed = (reason: string): void => d.log("malformed request", { source, reason });
    return serveHttp2(io.release(), { serve, world: d.world, idleMs: d.times.idleMs, drain: d.drain, malformed });
  }
  return serveHttp1(io, {
    serve,
    world: d.world,
    times: d.times,
    drain: d.drain,
    malformed: (bad) => d.log("malformed request", { source, reason: bad.reason, status: bad.status }),
    linger: (stream) => linger(stream, d.world),
    join: joinUpgraded,
  });
};

/** Reads until the bytes tell, the caller ends, or the time is over; the bytes are put back. */
const sniff = async <T>(
  io: ByteStream,
  tell: (bytes: Buffer) => T | "more",
  ms: { limit: number; world: World },
): Promise<T | undefined> => {
  const timer = new AbortController();
  const late = ms.world.sleep(ms.limit, timer.signal).then(
    () => "late" as const,
    () => "late" as const, // cleared
  );
  const seen: Buffer[] = [];
  try {
    for (;;) {
      const chunk = await Promise.race([io.read(), late]);
      if (chunk === "late" || chunk === undefined) return undefined;
      seen.push(chunk);
      const told = tell(Buffer.concat(seen));
      if (told !== "more") return told;
    }
  } finally {
    timer.abort();
    io.unread(Buffer.concat(seen));
  }
};

/** The declared protocol wins; AUTO is told by the first bytes, and silence means that the server speaks first. */
const protocolOf = async (io: ByteStream, port: Addressed["port"], d: AcceptDeps): Promise<"http1" | "http2" | "opaque"> => {
  switch (port.protocol) {
    case "TCP":
    case "TLS":
      return "opaque";
    case "HTTP":
    case "HTTP2":
    case "GRPC": {
      using silent = patience(d.world, () => io.destroy(new Error("the caller said nothing")));
      silent.wait(d.times.idleMs);
      const first = await io.read();
      if (first === undefined) return "http1";
      io.unread(first);
      return (await sniff(io, detectHttp, { limit: d.detectMs, world: d.world })) ?? "http1";
    }
    case "AUTO": {
      const told = await sniff(io, detect, { limit: d.detectMs, world: d.world });
      return told === "http1" || told === "http2" ? told : "opaque";
    }
  }
};

/** A connection that has said nothing yet has nothing to finish when we shut down. */
const whileSilent = async <T>(duplex: Duplex, drain: AbortSignal, told: Promise<T>): Promise<T> => {
  const cut = (): void => void duplex.destroy(new Error("the waypoint is shutting down"));
  drain.addEventListener("abort", cut, { once: true });
  try {
    return await told;
  } finally {
    drain.removeEventListener("abort", cut);
  }
};

const serveAccepted = async (a: Accepted, d: AcceptDeps): Promise<void> => {
  const stop = new AbortController();
  const addressed = lookUp(a, d);
  if (addressed === undefined) {
    a.duplex.destroy();
    return;
  }
  const opaque = addressed.port.protocol === "TCP" || addressed.port.protocol === "TLS";
  const io = opaque ? undefined : byteStream(a.duplex);
  const protocol = io === undefined ? "opaque" : await whileSilent(a.duplex, d.drain, protocolOf(io, addressed.port, d));
  // Registered before the decision: a policy push in between must not be missed.
  const info: LiveConnection = { connection: a.connection, target: a.target, protocol: protocol === "opaque" ? "tcp" : "http" };
  using _ = d.live.track(info, (reason) => {
    stop.abort(reason);
    if (protocol !== "opaque") a.duplex.destroy();
  });
  if (io !== undefined && protocol !== "opaque") await serveHttp(a, protocol, { io, d });
  else
    await serveTcp(io?.release() ?? a.duplex, { connection: a.connection, addressed: lookUp(a, d) ?? addressed, signal: stop.signal }, d);
};

/**
 * Who calls: the peer of the tunnel, or a plaintext client whom a pod of the very service sends through us. Nobody else may speak for
 * others: a caller that could make itself nobody would shake off the policies that name it.
 */
const callerOf = (r: TunnelRequest, target: Accepted["target"], d: AcceptDeps): Pick<Connection, "peer" | "source"> | undefined => {
  if (!isAnonymous(r.headers)) return { peer: r.peer, source: r.remote };
  const client = clientBehind(r.headers);
  const isPodOfService =
    target.kind === "service" &&
    d.view.endpoints(target.service).some(({ workload: w }) => identityOf(w).uri === r.peer.uri && w.addresses.includes(r.remote.ip));
  return isPodOfService && client !== undefined ? { peer: undefined, source: client } : undefined;
};

/** Answers a CONNECT: an HTTP error for what is not ours, else 200 and the connection is served to its end. Never rejects. */
export const acceptTunnel = async (r: TunnelRequest, d: AcceptDeps): Promise<void> => {
  const target = planFor(r, d);
  if (target.kind === "refuse") {
    d.log("connect refused", { source: formatSocketAddr(r.remote), peer: r.peer.uri, authority: r.authority, reason: target.detail });
    r.reject(RESCUE[target.code].hbone);
    return;
  }
  const caller = callerOf(r, target, d);
  if (caller === undefined) {
    const reason = "it speaks for a client outside the mesh without being a pod of the service";
    d.log("connect refused", { source: formatSocketAddr(r.remote), peer: r.peer.uri, authority: r.authority, reason });
    r.reject(RESCUE.DENY.hbone);
    return;
  }
  const connection: Connection = { ...caller, destination: { ip: target.destination, port: target.port } };
  const duplex = r.accept(caller.peer === undefined ? ANONYMOUS_TAKEN : {});
  try {
    await serveAccepted({ connection, target, duplex }, d);
  } catch (e) {
    // A connection that broke before its protocol was known.
    d.log("connection broke", { source: formatSocketAddr(r.remote), reason: e instanceof Error ? e.message : String(e) });
    duplex.destroy();
  }
};
