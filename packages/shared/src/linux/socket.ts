// How is a TCP or UDP socket made inside a chosen network namespace, as an fd for Node to wrap?

import { addressBytes, LinuxError, syscall, trySyscall } from "./client.ts";
import { inNetns } from "./netns.ts";
import {
  AF_INET,
  AF_INET6,
  type SocketFamily,
  setFreebind,
  setMark,
  setNoDelay,
  setReuseAddr,
  setReusePort,
  setTransparent,
  setV6Only,
} from "./sockopt.ts";

const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const EINVAL = 22;

export type SocketAddress = { readonly ip: string; readonly port: number };

export type SocketOptions = {
  /** An open namespace fd; absent: the calling thread's own namespace. */
  readonly netns?: number;
  readonly family: SocketFamily;
  /** TCP unless said otherwise. */
  readonly type?: "tcp" | "udp";
  readonly mark?: number;
  readonly transparent?: boolean;
  readonly freebind?: boolean;
  readonly reusePort?: boolean;
  readonly reuseAddr?: boolean;
  /** IPv6 only; absent: the system's default (dual stack). */
  readonly v6only?: boolean;
  readonly bind?: SocketAddress;
};

export type ListenOptions = Omit<SocketOptions, "bind" | "type"> & {
  /** Where to listen; port 0 lets the kernel choose. */
  readonly bind: SocketAddress;
  /** Connections waiting to be accepted; 128 unless said otherwise. */
  readonly backlog?: number;
};

/** struct sockaddr_in or sockaddr_in6. Throws LinuxError EINVAL when the text is not an address of the family. */
const socketAddress = (family: SocketFamily, { ip, port }: SocketAddress): Buffer => {
  const af = family === "ipv4" ? AF_INET : AF_INET6;
  const bytes = addressBytes(af, ip);
  if (bytes === undefined) throw new LinuxError("bind", EINVAL, `${ip} is not an ${family} address`);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new LinuxError("bind", EINVAL, `${port} is not a port`);
  const address = Buffer.alloc(family === "ipv4" ? 16 : 28);
  address.writeUInt16LE(af, 0);
  address.writeUInt16BE(port, 2);
  address.set(family === "ipv4" ? bytes.subarray(0, 4) : bytes, family === "ipv4" ? 4 : 8);
  return address;
};

const configure = (fd: number, o: SocketOptions): void => {
  if (o.mark !== undefined) setMark(fd, o.mark);
  if (o.reuseAddr === true) setReuseAddr(fd);
  if (o.reusePort === true) setReusePort(fd);
  if (o.family === "ipv6" && o.v6only !== undefined) setV6Only(fd, o.v6only);
  if (o.transparent === true) setTransparent(fd, o.family);
  if (o.freebind === true) setFreebind(fd, o.family);
  if (o.type !== "udp") setNoDelay(fd);
  if (o.bind === undefined) return;
  const address = socketAddress(o.family, o.bind);
  const result = trySyscall("bind", fd, address, address.length);
  if (result < 0) throw new LinuxError("bind", -result, `${o.bind.ip} port ${o.bind.port}`);
};

const open = (o: SocketOptions, finish: (fd: number) => void): number => {
  const af = o.family === "ipv4" ? AF_INET : AF_INET6;
  const type = (o.type === "udp" ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const make = (): number => {
    const fd = syscall("socket", af, type, 0);
    try {
      configure(fd, o);
      finish(fd);
    } catch (e) {
      syscall("close", fd);
      throw e;
    }
    return fd;
  };
  return o.netns === undefined ? make() : inNetns(o.netns, make);
};

/**
 * A non-blocking, close-on-exec socket with its options set and bound when asked; TCP sockets have TCP_NODELAY.
 * The fd is the caller's: wrap it outside with `new net.Socket({ fd, manualStart: true }).connect({ host: ip, port })`
 * (an address, never a name) or `dgram.createSocket(..).bind({ fd })`. Throws LinuxError.
 */
export const socketIn = (options: SocketOptions): number => open(options, () => {});

/**
 * A listening TCP socket; wrap it outside with `net.createServer().listen({ fd })`.
 * Close it by closing that server. Throws LinuxError, EADDRINUSE naming the address.
 */
export const listenSocket = (options: ListenOptions): number =>
  open(options, (fd) => {
    syscall("listen", fd, options.backlog ?? 128);
  });

const F_DUPFD_CLOEXEC = 1030;

/** Another number for the same open file, close-on-exec and the caller's: the file stays open until both are closed. */
export const dupFd = (fd: number): number => syscall("fcntl", fd, F_DUPFD_CLOEXEC, 0);

/** Closes an fd that no Node handle owns. */
export const closeFd = (fd: number): void => {
  syscall("close", fd);
};
