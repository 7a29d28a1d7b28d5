// How is a connection for tunnels made: dial, TLS with the peer's identity checked, HTTP/2?

import type { Duplex } from "node:stream";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { formatSocketAddr } from "../addr/socket.ts";
import type { WorkloadCert } from "../ca/types.ts";
import type { MeshErrorCode } from "../errors/codes.ts";
import { asMeshError, MeshError } from "../errors/mesh-error.ts";
import type { SpiffeId } from "../identity/spiffe.ts";
import type { World } from "../runtime/world.ts";
import { type Certificate, parseCertificate } from "../tls/certificate.ts";
import { peerChain } from "../tls/peer-chain.ts";
import { handshakeFailure } from "../tls/policy.ts";
import { Handshake, recordLayer } from "../tls/record/handshake.ts";
import type { PeerChain } from "../tls/revocation.ts";
import type { PeerCheck } from "../tls/revocations.ts";
import { verifyExpected, verifyTime } from "../tls/verify.ts";
import { H2Session } from "./h2/session.ts";
import type { TunnelTarget } from "./types.ts";
import { duplexWire, type Wire } from "./wire.ts";

export type Connected = {
  readonly session: H2Session;
  readonly peer: SpiffeId;
  /** What the peer showed, when `peers` asks about it; else empty. */
  readonly chain: PeerChain;
  /** Milliseconds: when the first of both certificates expires. */
  readonly notAfter: number;
};

export type ConnectOptions = {
  readonly cert: (self: SpiffeId) => Promise<WorkloadCert>;
  readonly dial: (to: TunnelTarget["to"], from: string, signal: AbortSignal) => Promise<Duplex>;
  readonly world: World;
  readonly dialMs: number;
  /** Asked of the peer after the handshake, before anything is sent. */
  readonly peers?: PeerCheck;
};

type Phase = "certificate" | "dial" | "tls" | "http2";

const late = (phase: Phase, ms: number, target: TunnelTarget): MeshError => {
  const to = formatSocketAddr(target.to);
  switch (phase) {
    case "certificate":
      return new MeshError("IDENTITY", `no certificate for ${target.self.uri} within ${ms} ms`);
    case "dial":
      return new MeshError(
        "CONNECT_TIMEOUT",
        `connection to ${to} timed out after ${ms} ms, maybe a NetworkPolicy is blocking HBONE port ${target.to.port}`,
      );
    case "tls":
      return new MeshError("TLS", `${to} did not finish the TLS handshake within ${ms} ms`);
    case "http2":
      return new MeshError("H2_HANDSHAKE", `${to} did not start HTTP/2 within ${ms} ms`);
  }
};

const CODE: Readonly<Record<Phase, MeshErrorCode>> = { certificate: "IDENTITY", dial: "CONNECT", tls: "TLS", http2: "H2_HANDSHAKE" };

/** The promise, or the signal's reason if it aborts first; what comes after that is given to `unused`. */
const unlessAborted = <T>(work: Promise<T>, signal: AbortSignal, unused: (value: T) => void): Promise<T> =>
  new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    work.then(
      (value) => {
        signal.removeEventListener("abort", onAbort);
        if (signal.aborted) unused(value);
        else resolve(value);
      },
      (e) => {
        signal.removeEventListener("abort", onAbort);
        reject(e);
      },
    );
  });

type Secured = {
  readonly socket: TLSSocket;
  readonly leaf: Certificate;
  readonly peer: SpiffeId;
  /** What HTTP/2 is to run over: our own records, or where there are none (TLS 1.2, a node without EVP) the socket. Once. */
  readonly wire: () => Promise<Wire>;
};

const secure = (raw: Duplex, cert: WorkloadCert, expect: readonly SpiffeId[]): Promise<Secured> =>
  new Promise((resolve, reject) => {
    let checked: { leaf: Certificate; peer: SpiffeId } | undefined;
    const handshake = "error" in recordLayer() ? undefined : new Handshake(raw, { role: "client" });
    const socket = connectTls({
      socket: handshake ?? raw,
      secureContext: cert.clientContext,
      ALPNProtocols: ["h2"],
      rejectUnauthorized: true,
      // No SNI. Names are SPIFFE ids; DNS names and CN are not looked at. Called only after the chain has been found good.
      checkServerIdentity: (_host, peer) => {
        const leaf = parseCertificate(peer.raw);
        const id = leaf.ok ? verifyExpected(leaf.value, expect) : leaf;
        if (!leaf.ok || !id.ok) return new Error(id.ok ? "" : id.error);
        checked = { leaf: leaf.value, peer: id.value };
        return undefined;
      },
    });
    const fail = (e: Error): void => {
      socket.destroy();
      reject(new MeshError("TLS", handshakeFailure(e.message, cert.tls), e));
    };
    const closed = (): void => fail(new Error("the peer closed the connection during the TLS handshake"));
    if (handshake !== undefined) socket.on("keylog", (line) => handshake.keylog(line));
    const wire = async (): Promise<Wire> =>
      handshake === undefined || socket.getProtocol() !== "TLSv1.3" ? duplexWire(socket) : handshake.takeOver(socket);
    socket.once("error", fail);
    socket.once("close", closed);
    socket.once("secureConnect", () => {
      socket.removeListener("close", closed);
      if (checked === undefined) return fail(new Error("the peer's certificate was not checked"));
      if (socket.alpnProtocol !== "h2") return fail(new Error("the peer does not speak HTTP/2 (ALPN h2)"));
      socket.removeListener("error", fail);
      resolve({ socket, wire, ...checked });
    });
  });

/** Resolves when the peer's SETTINGS have come: only then has it accepted our certificate (TLS 1.3 tells a client no sooner). */
const start = (wire: Wire, world: World): Promise<H2Session> =>
  new Promise((resolve, reject) => {
    const session = new H2Session(wire, { role: "client", world, maxStreams: 0 });
    const closed = (error: Error | undefined): void =>
      reject(new MeshError("TLS", `the peer closed the connection right after the handshake: it may have refused our certificate`, error));
    session.once("close", closed);
    session.once("settings", () => {
      session.removeListener("close", closed);
      resolve(session);
    });
  });

/** One connection to the target. Throws MeshError; nothing is left open then. */
export const connectTunnels = async (target: TunnelTarget, options: ConnectOptions, signal: AbortSignal): Promise<Connected> => {
  const { world, dialMs } = options;
  const timer = new AbortController();
  const limit = new AbortController();
  let phase: Phase = "certificate";
  let open: { destroy(): void } | undefined;
  void world.sleep(dialMs, AbortSignal.any([timer.signal, signal])).then(
    () => limit.abort(late(phase, dialMs, target)),
    () => undefined,
  );
  const cut = AbortSignal.any([signal, limit.signal]);
  try {
    const cert = await unlessAborted(options.cert(target.self), cut, () => undefined);
    // TLS looks at the clock of the machine; a certificate that has just expired must not be dialled with again and again.
    const own = verifyTime(cert, world.now());
    if (!own.ok) throw new MeshError("IDENTITY", `our own certificate for ${target.self.uri}: ${own.error}`);
    phase = "dial";
    const raw = await unlessAborted(options.dial(target.to, target.from, cut), cut, (unused) => unused.destroy());
    open = raw;
    phase = "tls";
    const { socket, leaf, peer, ...secured } = await unlessAborted(secure(raw, cert, target.expect), cut, (unused) =>
      unused.socket.destroy(),
    );
    open = socket;
    const theirs = verifyTime(leaf, world.now());
    if (!theirs.ok) throw new MeshError("TLS", `the peer ${peer.uri}: ${theirs.error}`);
    const chain = options.peers === undefined ? [] : peerChain(socket);
    const no = options.peers?.refuse(chain);
    if (no !== undefined) throw no;
    const wire = await unlessAborted(secured.wire(), cut, (unused) => unused.destroy());
    open = wire;
    phase = "http2";
    const session = await unlessAborted(start(wire, world), cut, (unused) => unused.destroy());
    if (session.peerSettings.maxConcurrentStreams === 0) throw new MeshError("H2_HANDSHAKE", `${peer.uri} allows no tunnels at all`);
    return { session, peer, chain, notAfter: Math.min(cert.notAfter, leaf.notAfter) };
  } catch (e) {
    open?.destroy();
    throw asMeshError(limit.signal.aborted ? limit.signal.reason : e, CODE[phase]);
  } finally {
    timer.abort();
  }
};
