// How are sockets made inside a pod's network namespace: its listeners, and the connections dialled from it?

import { Socket } from "node:net";
import { type Ip, isV4 } from "@ambit/shared/addr/ip.ts";
import { formatSocketAddr, type SocketAddr } from "@ambit/shared/addr/socket.ts";
import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import { LinuxError } from "@ambit/shared/linux/client.ts";
import type { Netns } from "@ambit/shared/linux/netns.ts";
import { closeFd, type ListenOptions, listenSocket, socketIn } from "@ambit/shared/linux/socket.ts";
import { type Keepalive, setKeepalive, setUserTimeout } from "@ambit/shared/linux/sockopt.ts";
import { deadline } from "@ambit/shared/runtime/deadline.ts";
import type { World } from "@ambit/shared/runtime/world.ts";

export type SocketConfig = {
  /** Set on every socket, so that the pod's redirect rules let ztunnel's own packets pass. */
  readonly mark: number;
  readonly ipv6: boolean;
  readonly portReuse: boolean;
  readonly keepalive: Keepalive | undefined;
  readonly userTimeoutMs: number | undefined;
  readonly connectTimeoutMs: number;
  /** Applications see their callers' addresses; false: the pod's own (ENABLE_ORIG_SRC). */
  readonly originalSource: boolean;
};

export type DialOptions = {
  readonly signal: AbortSignal;
  /** The source address, when it is not to be the pod's own. */
  readonly from?: Ip | undefined;
  /** True: each direction ends on its own. False (for TLS): the peer's end is the end. */
  readonly halfOpen: boolean;
};

export type PodNet = {
  /** A connection from inside the pod. Throws MeshError CONNECT or CONNECT_TIMEOUT, or the signal's reason. */
  dial(to: SocketAddr, how: DialOptions): Promise<Socket>;
};

const tune = (fd: number, config: SocketConfig): void => {
  if (config.keepalive !== undefined) setKeepalive(fd, config.keepalive);
  if (config.userTimeoutMs !== undefined) setUserTimeout(fd, config.userTimeoutMs);
};

/** A kernel without IPv6 has no such family, and a namespace with IPv6 off has no such address. */
const hasNoIpv6 = (e: unknown): boolean => e instanceof LinuxError && (e.code === "EAFNOSUPPORT" || e.code === "EADDRNOTAVAIL");

const bound = (netns: number, config: SocketConfig, { kind, port, ip }: { kind: "tcp" | "udp"; port: number; ip: string }): number => {
  const family = ip.includes(":") ? "ipv6" : "ipv4";
  const options = {
    netns,
    family,
    mark: config.mark,
    reusePort: config.portReuse,
    reuseAddr: true,
    bind: { ip, port },
    ...(family === "ipv6" ? { v6only: ip !== "::" } : {}),
  } satisfies ListenOptions;
  return kind === "tcp" ? listenSocket(options) : socketIn({ ...options, type: "udp" });
};

const boundAnywhere = (netns: number, config: SocketConfig, at: { kind: "tcp" | "udp"; port: number }): number => {
  if (!config.ipv6) return bound(netns, config, { ...at, ip: "0.0.0.0" });
  try {
    return bound(netns, config, { ...at, ip: "::" });
  } catch (e) {
    if (hasNoIpv6(e)) return bound(netns, config, { ...at, ip: "0.0.0.0" });
    throw e;
  }
};

/** The fd of a socket that listens inside the pod; accepted sockets inherit its options. undefined: the namespace has no such address. */
export const createListener = (
  netns: number,
  config: SocketConfig,
  { kind, port, at }: { readonly kind: "tcp" | "udp"; readonly port: number; readonly at: "any" | "127.0.0.1" | "::1" },
): number | undefined => {
  if (at === "::1" && !config.ipv6) return undefined;
  let fd: number;
  try {
    fd = at === "any" ? boundAnywhere(netns, config, { kind, port }) : bound(netns, config, { kind, port, ip: at });
  } catch (e) {
    if (at === "::1" && hasNoIpv6(e)) return undefined;
    throw e;
  }
  try {
    if (kind === "tcp") tune(fd, config);
  } catch (e) {
    closeFd(fd);
    throw e;
  }
  return fd;
};

const socketFd = (netns: number, config: SocketConfig, { to, from }: { to: SocketAddr; from: Ip | undefined }): number => {
  const family = isV4(to.ip) ? "ipv4" : "ipv6";
  const common = { netns, family, mark: config.mark } as const;
  if (!config.originalSource || from === undefined || isV4(from) !== isV4(to.ip)) return socketIn(common);
  return socketIn({ ...common, transparent: true, freebind: true, bind: { ip: from, port: 0 } });
};

// An error also closes the socket, and that is what its owner acts on: none is ever left without a listener.
const ignore = (): void => {};

/** The connection, or the reason there is none; the deadline and the signal destroy it. */
const connected = (socket: Socket, to: SocketAddr, options: { world: World; timeoutMs: number; signal: AbortSignal }): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const settle = (): void => {
      late();
      options.signal.removeEventListener("abort", onAbort);
      socket.removeListener("error", onError);
      socket.removeListener("connect", onConnect);
    };
    const fail = (error: unknown): void => {
      settle();
      socket.destroy();
      reject(error);
    };
    const where = formatSocketAddr(to);
    const onAbort = (): void => fail(options.signal.reason);
    const onError = (e: Error): void => fail(new MeshError("CONNECT", `cannot connect to ${where}: ${e.message}`, e));
    const onConnect = (): void => {
      settle();
      resolve(socket);
    };
    socket.on("error", ignore);
    socket.once("error", onError);
    socket.once("connect", onConnect);
    const late = deadline(options.world, options.timeoutMs, () =>
      fail(new MeshError("CONNECT_TIMEOUT", `cannot connect to ${where}: no answer within ${options.timeoutMs} ms`)),
    );
    if (options.signal.aborted) return onAbort();
    options.signal.addEventListener("abort", onAbort, { once: true });
    socket.connect({ host: to.ip, port: to.port });
  });

/** The network of one pod. Once the handle on its namespace is closed, nothing is listened or dialled any more. */
export const createPodNet = (netns: Pick<Netns, "fd">, config: SocketConfig, world: World): PodNet => ({
  dial: async (to, { from, signal, halfOpen }) => {
    signal.throwIfAborted();
    let fd: number | undefined;
    try {
      fd = socketFd(netns.fd, config, { to, from });
      tune(fd, config);
    } catch (e) {
      if (fd !== undefined) closeFd(fd);
      throw new MeshError("CONNECT", `cannot make a socket for ${formatSocketAddr(to)}: ${e instanceof Error ? e.message : String(e)}`, e);
    }
    const options = { fd, allowHalfOpen: halfOpen, readable: true, writable: true, manualStart: true };
    return connected(new Socket(options), to, { world, timeoutMs: config.connectTimeoutMs, signal });
  },
});
