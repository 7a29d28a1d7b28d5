// What is a socket that came from somebody else: its kind, its port, its network namespace, who is at the other end?

import { addressText, errnoOf, LinuxError, syscall, trySyscall } from "./client.ts";
import { type NetnsIdentity, netnsIdentity } from "./netns.ts";
import { closeFd } from "./socket.ts";
import { AF_INET, AF_INET6, AF_UNIX } from "./sockopt.ts";

const SOL_SOCKET = 1;
const SO_TYPE = 3;
const SO_PEERCRED = 17;
const SO_ACCEPTCONN = 30;
const SO_DOMAIN = 39;
const SIOCGSKNS = 0x894c;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;

const option = (fd: number, name: number): number => {
  const value = Buffer.alloc(4);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(4);
  syscall("getsockopt", fd, SOL_SOCKET, name, value, length);
  return value.readInt32LE();
};

export type SocketFacts = {
  /** What comes in on it: TCP connections, UDP datagrams, or neither (a connection, say). */
  readonly takes: "tcp" | "udp" | "nothing";
  /** The local address, "0.0.0.0" or "::" for every one, and the port; 0 where it is not bound. */
  readonly ip: string;
  readonly port: number;
  readonly netns: NetnsIdentity;
};

const takes = (fd: number): SocketFacts["takes"] => {
  const type = option(fd, SO_TYPE);
  if (type === SOCK_DGRAM) return "udp";
  return type === SOCK_STREAM && option(fd, SO_ACCEPTCONN) === 1 ? "tcp" : "nothing";
};

const localAddress = (fd: number, domain: number): { ip: string; port: number } => {
  const address = Buffer.alloc(28);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(address.length);
  syscall("getsockname", fd, address, length);
  const bytes = domain === AF_INET ? address.subarray(4, 8) : address.subarray(8, 24);
  return { ip: addressText(domain, bytes), port: address.readUInt16BE(2) };
};

/** As the kernel knows it (SIOCGSKNS needs CAP_NET_ADMIN). Throws LinuxError when the fd is no IPv4 or IPv6 socket. */
export const socketFacts = (fd: number): SocketFacts => {
  const domain = option(fd, SO_DOMAIN);
  if (domain !== AF_INET && domain !== AF_INET6)
    throw new LinuxError("getsockopt", errnoOf("EAFNOSUPPORT"), domain === AF_UNIX ? "a unix socket" : `a socket of family ${domain}`);
  const netns = trySyscall("ioctl", fd, SIOCGSKNS, 0);
  if (netns < 0) throw new LinuxError("ioctl", -netns, "SIOCGSKNS");
  try {
    return { takes: takes(fd), ...localAddress(fd, domain), netns: netnsIdentity(netns) };
  } finally {
    closeFd(netns);
  }
};

/** The user at the other end of a connected unix socket, as this process's user namespace numbers it (SO_PEERCRED). */
export const peerUid = (fd: number): number => {
  const credentials = Buffer.alloc(12); // struct ucred: pid, uid, gid
  const length = Buffer.alloc(4);
  length.writeUInt32LE(credentials.length);
  syscall("getsockopt", fd, SOL_SOCKET, SO_PEERCRED, credentials, length);
  return credentials.readUInt32LE(4);
};
