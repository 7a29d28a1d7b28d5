// What is a tunnel to those who use it? (the framing below it may change; this may not)

import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { SocketAddr } from "../addr/socket.ts";
import type { End } from "../copy/end.ts";
import type { SpiffeId } from "../identity/spiffe.ts";

/** Lower-case header names. */
export type TunnelHeaders = Readonly<Record<string, string>>;

/** An open CONNECT stream: bytes both ways, half-close kept. */
export type TunnelStream = {
  readonly end: End;
  /** The same as a Node stream, made when it is asked for; `end` is its own then. */
  readonly stream: Duplex;
  readonly peer: SpiffeId;
  readonly headers: TunnelHeaders;
};

/** Whom to tunnel to: connections are shared only between equal keys. */
export type TunnelTarget = {
  readonly self: SpiffeId;
  /** The peer's certificate must carry one of these ids. Never empty. */
  readonly expect: readonly SpiffeId[];
  readonly to: SocketAddr;
  /** The source address, part of the key because peers see it. */
  readonly from: string;
};

export type TunnelPool = {
  /** Opens a CONNECT stream; throws MeshError (CONNECT, CONNECT_TIMEOUT, TLS, IDENTITY, H2_HANDSHAKE, HTTP_STATUS, DRAINED). */
  connect(target: TunnelTarget, request: { authority: string; headers: TunnelHeaders }, signal?: AbortSignal): Promise<TunnelStream>;
  /**
   * Asks those peers for a sign of life now, and cuts the connections of those that give none in time. For addresses that have left the
   * mesh: a node or a pod's network can go so fast that no end of its connections is heard.
   */
  suspect(gone: (to: SocketAddr) => boolean): void;
  /** No new streams on old connections; resolves when all are idle and closed, or at the deadline. */
  drain(deadlineMs: number): Promise<void>;
  close(): void;
  /** For /config_dump and metrics. */
  stats(): { readonly connections: number; readonly streams: number };
};

/** A CONNECT that a peer asked for. Exactly one of open, accept and reject is called, once. */
export type TunnelRequest = {
  readonly method: string;
  readonly authority: string;
  readonly headers: TunnelHeaders;
  readonly peer: SpiffeId;
  /** The TCP peer and our own end of the connection that carries the tunnel. */
  readonly remote: SocketAddr;
  readonly local: SocketAddr;
  /** Aborts when the peer gives the request up. */
  readonly signal: AbortSignal;
  /** Answers 200 with the headers and yields the tunnel (or what stands for it), for splice(). */
  open(headers: TunnelHeaders): End | Duplex;
  /** The same, as a Node stream. */
  accept(headers: TunnelHeaders): Duplex;
  /** Answers the status and ends the stream. */
  reject(status: number, headers?: TunnelHeaders): void;
};

export type TunnelTaker = {
  /** Serves a connected socket of which nothing has been read. */
  take(socket: Socket): void;
  /** GOAWAY on every connection there is; new ones are served as ever. */
  goaway(): void;
  /** GOAWAY on every connection, no new ones; cuts what is left at the deadline. */
  drain(deadlineMs: number): Promise<void>;
  close(): void;
};

/** One that listens for itself too. */
export type TunnelServer = TunnelTaker & { readonly address: SocketAddr };
