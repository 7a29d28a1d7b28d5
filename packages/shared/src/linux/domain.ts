// Of which address family is a socket that somebody else made?

import { syscall } from "./client.ts";
import { AF_INET6, type SocketFamily } from "./sockopt.ts";

const SOL_SOCKET = 1;
const SO_DOMAIN = 39;

/** The family of an IP socket's fd. Throws LinuxError when the fd is no socket. */
export const socketFamily = (fd: number): SocketFamily => {
  const value = Buffer.alloc(4);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(4);
  syscall("getsockopt", fd, SOL_SOCKET, SO_DOMAIN, value, length);
  return value.readInt32LE() === AF_INET6 ? "ipv6" : "ipv4";
};
