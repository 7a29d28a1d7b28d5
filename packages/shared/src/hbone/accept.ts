// How are tunnels taken from peers? (mTLS, HTTP/2, CONNECT)

import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { parseIp } from "../addr/ip.ts";
import type { SocketAddr } from "../addr/socket.ts";
import type { WorkloadCert } from "../ca/types.ts";
import type { SpiffeId } from "../identity/spiffe.ts";
import { err, type Result, unwrap } from "../runtime/result.ts";
import type { World } from "../runtime/world.ts";
import { parseCertificate } from "../tls/certificate.ts";
import { contextOptions } from "../tls/context.ts";
import { peerChain } from "../tls/peer-chain.ts";
import { handshakeFailure } from "../tls/policy.ts";
import { recordLayer } from "../tls/record/handshake.ts";
import { type Arrival, type ServerHandshakes, serverHandshakes } from "../tls/record/server.ts";
import type { PeerChain } from "../tls/revocation.ts";
import type { PeerCheck } from "../tls/revocations.ts";
import { verifyTrustDomain } from "../tls/verify.ts";
import { H2Session } from "./h2/session.ts";
import { answer, tunnelRequest } from "./request.ts";
import { keepAlive } from "./session.ts";
import type { TunnelRequest, TunnelServer, TunnelTaker } from "./types.ts";
import { duplexWire, type Wire } from "./wire.ts";

export type TunnelServerLimits = {
  readonly maxStreams: number;
  readonly handshakeMs: number;
  readonly pingEveryMs: number;
  readonly pingTimeoutMs: number;
};
const LIMITS: TunnelServerLimits = { maxStreams: 200, handshakeMs: 10_000, pingEveryMs: 10_000, pingTimeoutMs: 20_000 };

export type TakeTunnelsOptions = {
  /** Our certificate now: asked for every connection, so a renewed one is used at once. undefined: there is none, and the connection is closed. */
  readonly certs: () => WorkloadCert | undefined;
  /** Peers of another trust domain are closed after the handshake. */
  readonly trustDomain: string;
  /** Other names of the trust domain: their peers are ours. */
  readonly trustDomainAliases?: readonly string[];
  /** Asked of every peer after its handshake, and of all live ones when it has news. */
  readonly peers?: PeerCheck;
  /** Must accept or reject; a throw rejects with its code's status (503 for anything else) and is logged. */
  readonly onRequest: (request: TunnelRequest) => Promise<void> | void;
  readonly world: World;
  readonly limits?: Partial<TunnelServerLimits>;
  readonly log: (event: string, fields: object) => void;
};

export type ServeTunnelsOptions = TakeTunnelsOptions & {
  readonly listen: { readonly fd: number } | { readonly port: number; readonly host: string };
};

type Ends = { readonly remote: SocketAddr; readonly local: SocketAddr };

const message = (e: unknown): string => (e instanceof Error ? e.message : String(e));

const endOf = (ip: string | undefined, port: number | undefined): SocketAddr | undefined => {
  const parsed = parseIp(ip ?? "");
  return parsed.ok && port !== undefined ? { ip: parsed.value, port } : undefined;
};

const endsOf = (socket: Socket): Partial<Ends> => {
  const remote = endOf(socket.remoteAddress, socket.remotePort);
  const local = endOf(socket.localAddress, socket.localPort);
  return { ...(remote && { remote }), ...(local && { local }) };
};

const peerOf = (socket: TLSSocket, trustDomains: readonly string[]): Result<SpiffeId> => {
  const x509 = socket.getPeerX509Certificate();
  if (!socket.authorized || x509 === undefined) return err("the peer has no certificate that is trusted");
  if (socket.alpnProtocol !== "h2") return err("the peer does not speak HTTP/2 (ALPN h2)");
  const cert = parseCertificate(x509);
  return cert.ok ? verifyTrustDomain(cert.value, trustDomains) : cert;
};

const listening = (server: Server, where: ServeTunnelsOptions["listen"]): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(where, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });

/** Serves the connections that it is given. */
export const takeTunnels = (options: TakeTunnelsOptions): TunnelTaker => {
  const limits = { ...LIMITS, ...options.limits };
  const { log, world } = options;
  const { peers, trustDomainAliases = [] } = options;
  const trustDomains = [options.trustDomain, ...trustDomainAliases];
  /** With the chain that the peer showed, when somebody asks about it. */
  const sessions = new Map<H2Session, PeerChain>();
  /** Connections as long as node:net has them; our own records take them from it. */
  const pending = new Set<Socket>();
  const taking = new Set<Arrival>();
  const stopped = new AbortController();
  const records = recordLayer();
  if ("error" in records) log("no TLS records of our own: node:tls carries the tunnels", { error: records.error.message });
  let life: "open" | "draining" | "closed" = "open";

  const onSession = (session: H2Session, chain: PeerChain, { peer, ...ends }: Ends & { peer: SpiffeId }): void => {
    const closed = new AbortController();
    sessions.set(session, chain);
    session.on("failed", (e) => log("tunnel connection failed", { peer: peer.uri, remote: ends.remote, error: message(e) }));
    session.on("close", () => {
      sessions.delete(session);
      closed.abort();
      checkEmpty();
    });
    session.on("request", (stream, head) => answer(tunnelRequest(stream, head, { peer, ...ends }), options.onRequest, log));
    const signal = AbortSignal.any([closed.signal, stopped.signal]);
    void keepAlive(session, world, { everyMs: limits.pingEveryMs, timeoutMs: limits.pingTimeoutMs, signal });
  };

  /** Our own records carry on after the handshake; TLS itself where there are none (TLS 1.2, a node without EVP). */
  const onSecure = (socket: TLSSocket, handshakes: ServerHandshakes): void => {
    const arrival = handshakes.of(socket);
    const { remote, local } = endsOf(arrival?.raw ?? socket);
    // Gone already: there is nobody left to tell.
    if (remote === undefined || local === undefined || life === "closed") return void socket.destroy();
    const peer = peerOf(socket, trustDomains);
    if (!peer.ok) {
      log("tunnel connection refused", { remote, error: peer.error });
      return void socket.destroy();
    }
    const chain = peers === undefined ? [] : peerChain(socket);
    const no = peers?.refuse(chain);
    if (no !== undefined) {
      log("tunnel connection refused", { remote, peer: peer.value.uri, error: no.message });
      return void socket.destroy();
    }
    const serve = (wire: Wire): void => {
      if (life === "closed") return void wire.destroy();
      const session = new H2Session(wire, { role: "server", world, maxStreams: limits.maxStreams });
      onSession(session, chain, { peer: peer.value, remote, local });
      // It came before the end was known here: it is told in order, and what it has asked for meanwhile is served.
      if (life === "draining") session.close();
    };
    if (arrival === undefined || socket.getProtocol() !== "TLSv1.3") return void serve(duplexWire(socket));
    taking.add(arrival);
    arrival.handshake
      .takeOver(socket)
      .then(serve, (e) => log("tunnel handshake failed", { remote, error: message(e) }))
      .finally(() => {
        taking.delete(arrival);
        checkEmpty();
      });
  };
  const unsubscribe = peers?.onChange(() => {
    for (const [session, chain] of [...sessions]) {
      const no = peers.refuse(chain);
      if (no !== undefined) session.destroy(no);
    }
  });

  // One TLS server (which never listens) per certificate: the context is built once, and a renewal is the next one.
  const byCert = new WeakMap<WorkloadCert, ServerHandshakes>();
  const tlsFor = (cert: WorkloadCert): ServerHandshakes => {
    const held = byCert.get(cert);
    if (held !== undefined) return held;
    const server = createTlsServer({
      ...contextOptions(cert),
      requestCert: true,
      rejectUnauthorized: true,
      ALPNProtocols: ["h2"],
      handshakeTimeout: limits.handshakeMs,
    });
    const made = serverHandshakes(server);
    server.on("secureConnection", (socket) => onSecure(socket, made));
    server.on("tlsClientError", (e, socket) => {
      // A chain that does not verify is told only here; the error itself then says no more than that the socket was closed.
      const error = socket.authorizationError ?? e;
      const { remote } = endsOf(made.of(socket)?.raw ?? socket);
      log("tunnel handshake failed", { remote, error: handshakeFailure(message(error), cert.tls) });
      socket.destroy();
    });
    byCert.set(cert, made);
    return made;
  };

  let onEmpty = (): void => {};
  const checkEmpty = (): void => {
    if (pending.size === 0 && taking.size === 0 && sessions.size === 0) onEmpty();
  };
  const take = (socket: Socket): void => {
    pending.add(socket);
    socket.once("close", () => {
      pending.delete(socket);
      checkEmpty();
    });
    const cert = options.certs();
    if (cert === undefined) {
      log("tunnel connection refused", { remote: endsOf(socket).remote, error: "we have no certificate" });
      return void socket.destroy();
    }
    tlsFor(cert).accept(socket);
  };
  const goaway = (): void => {
    for (const session of [...sessions.keys()]) session.close();
  };
  const close = (): void => {
    life = "closed";
    stopped.abort();
    unsubscribe?.();
    for (const session of [...sessions.keys()]) session.cut();
    for (const socket of pending) socket.destroy();
  };
  const drain = async (deadlineMs: number): Promise<void> => {
    life = "draining";
    const idle = new Promise<void>((resolve) => {
      onEmpty = resolve;
      checkEmpty();
    });
    goaway();
    const over = new AbortController();
    const late = world.sleep(deadlineMs, over.signal).then(
      () => undefined,
      () => undefined,
    );
    await Promise.race([idle, late]);
    over.abort();
    close();
  };
  return { take, goaway, drain, close };
};

/** Listens until closed. Rejects when it cannot listen. */
export const serveTunnels = async (options: ServeTunnelsOptions): Promise<TunnelServer> => {
  const tunnels = takeTunnels(options);
  const server = createServer({ noDelay: true }, tunnels.take);
  await listening(server, options.listen);
  server.on("error", (e) => options.log("tunnel listener failed", { error: e.message }));
  const bound = server.address();
  const address = typeof bound === "object" && bound !== null ? { ip: unwrap(parseIp(bound.address)), port: bound.port } : undefined;
  if (address === undefined) throw new Error("the tunnel listener has no address");
  return {
    address,
    take: tunnels.take,
    goaway: tunnels.goaway,
    drain: (deadlineMs) => {
      server.close();
      return tunnels.drain(deadlineMs);
    },
    close: () => {
      server.close();
      tunnels.close();
    },
  };
};
