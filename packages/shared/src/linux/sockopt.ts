// Which socket options does the mesh set and read that Node has no API for?

import { addressText, errnoOf, LinuxError, syscall, trySyscall } from "./client.ts";

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;

const SOL_IP = 0;
const SOL_SOCKET = 1;
const IPPROTO_TCP = 6;
const SOL_IPV6 = 41;

const SO_REUSEADDR = 2;
const SO_KEEPALIVE = 9;
const SO_REUSEPORT = 15;
const SO_MARK = 36;
const IP_FREEBIND = 15;
const IP_TRANSPARENT = 19;
const IPV6_V6ONLY = 26;
const IPV6_TRANSPARENT = 75;
const IPV6_FREEBIND = 78;
const TCP_NODELAY = 1;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;
const TCP_USER_TIMEOUT = 18;
const SO_ORIGINAL_DST = 80; // the same number as IP6T_SO_ORIGINAL_DST

export type SocketFamily = "ipv4" | "ipv6";

/** Used again for every call: the kernel copies what it is given before the call returns. */
const scratch = Buffer.alloc(4);

const setInt = (fd: number, level: number, option: { readonly name: string; readonly id: number; readonly value: number }): void => {
  scratch.writeInt32LE(option.value);
  const result = trySyscall("setsockopt", fd, level, option.id, scratch, 4);
  if (result < 0) throw new LinuxError("setsockopt", -result, option.name);
};

const getInt = (fd: number, level: number, id: number): number => {
  const value = Buffer.alloc(4);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(4);
  syscall("getsockopt", fd, level, id, value, length);
  return value.readInt32LE();
};

/** Marks every packet of the socket (CAP_NET_ADMIN). The mesh's own sockets carry 1337 so that the redirect rules let them pass. */
export const setMark = (fd: number, mark: number): void => setInt(fd, SOL_SOCKET, { name: "SO_MARK", id: SO_MARK, value: mark });

export const getMark = (fd: number): number => getInt(fd, SOL_SOCKET, SO_MARK);

/** Lets the socket bind to and receive for addresses that are not this machine's (CAP_NET_ADMIN). */
export const setTransparent = (fd: number, family: SocketFamily): void =>
  family === "ipv4"
    ? setInt(fd, SOL_IP, { name: "IP_TRANSPARENT", id: IP_TRANSPARENT, value: 1 })
    : setInt(fd, SOL_IPV6, { name: "IPV6_TRANSPARENT", id: IPV6_TRANSPARENT, value: 1 });

/** Lets the socket bind to an address that does not exist here (yet). */
export const setFreebind = (fd: number, family: SocketFamily): void =>
  family === "ipv4"
    ? setInt(fd, SOL_IP, { name: "IP_FREEBIND", id: IP_FREEBIND, value: 1 })
    : setInt(fd, SOL_IPV6, { name: "IPV6_FREEBIND", id: IPV6_FREEBIND, value: 1 });

export const setReusePort = (fd: number): void => setInt(fd, SOL_SOCKET, { name: "SO_REUSEPORT", id: SO_REUSEPORT, value: 1 });

export const setReuseAddr = (fd: number): void => setInt(fd, SOL_SOCKET, { name: "SO_REUSEADDR", id: SO_REUSEADDR, value: 1 });

export const setV6Only = (fd: number, only: boolean): void =>
  setInt(fd, SOL_IPV6, { name: "IPV6_V6ONLY", id: IPV6_V6ONLY, value: only ? 1 : 0 });

export const setNoDelay = (fd: number): void => setInt(fd, IPPROTO_TCP, { name: "TCP_NODELAY", id: TCP_NODELAY, value: 1 });

/** How long sent data may stay unacknowledged before the connection is given up; milliseconds. */
export const setUserTimeout = (fd: number, ms: number): void =>
  setInt(fd, IPPROTO_TCP, { name: "TCP_USER_TIMEOUT", id: TCP_USER_TIMEOUT, value: ms });

export type Keepalive = { readonly idleSeconds: number; readonly intervalSeconds: number; readonly probes: number };

/** Probes a silent peer after `idleSeconds`, then each `intervalSeconds`; `probes` unanswered ones end the connection. */
export const setKeepalive = (fd: number, keepalive: Keepalive): void => {
  setInt(fd, SOL_SOCKET, { name: "SO_KEEPALIVE", id: SO_KEEPALIVE, value: 1 });
  setInt(fd, IPPROTO_TCP, { name: "TCP_KEEPIDLE", id: TCP_KEEPIDLE, value: keepalive.idleSeconds });
  setInt(fd, IPPROTO_TCP, { name: "TCP_KEEPINTVL", id: TCP_KEEPINTVL, value: keepalive.intervalSeconds });
  setInt(fd, IPPROTO_TCP, { name: "TCP_KEEPCNT", id: TCP_KEEPCNT, value: keepalive.probes });
};

const V4_MAPPED = Buffer.from("00000000000000000000ffff", "hex");

const ipv4Text = (bytes: Buffer, at: number): string => `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;

/** The address text of 16 bytes; a v4-mapped one as plain IPv4. */
const ipv6Text = (bytes: Buffer): string => (V4_MAPPED.equals(bytes.subarray(0, 12)) ? ipv4Text(bytes, 12) : addressText(AF_INET6, bytes));

/** Filled and read within one call. */
const original = { address: Buffer.alloc(28), length: Buffer.alloc(4) };

// Not redirected: no conntrack entry, or no NAT on it, or the kernel has no conntrack for the family.
const ABSENT: ReadonlySet<number> = new Set(["ENOENT", "ENOPROTOOPT", "EOPNOTSUPP", "ENOTCONN", "EINVAL"].map(errnoOf));

/**
 * Where the client of an accepted connection dialled before a REDIRECT rule changed it; undefined when conntrack does not know.
 * IPv4 is asked first, then IPv6 (a dual-stack listener accepts both); v4-mapped addresses come back as IPv4.
 */
export const originalDestination = (fd: number): { readonly ip: string; readonly port: number } | undefined => {
  const { address, length } = original;
  for (const level of [SOL_IP, SOL_IPV6]) {
    length.writeUInt32LE(address.length);
    const result = trySyscall("getsockopt", fd, level, SO_ORIGINAL_DST, address, length);
    if (result < 0) {
      if (ABSENT.has(-result)) continue;
      throw new LinuxError("getsockopt", -result, level === SOL_IP ? "SO_ORIGINAL_DST" : "IP6T_SO_ORIGINAL_DST");
    }
    const port = address.readUInt16BE(2);
    const family = address.readUInt16LE(0);
    return { ip: family === AF_INET ? ipv4Text(address, 4) : ipv6Text(address.subarray(8, 24)), port };
  }
  return undefined;
};
