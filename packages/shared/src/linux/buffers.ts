// How many bytes of datagrams may wait in a socket until somebody reads them?

import { LinuxError, trySyscall } from "./client.ts";

const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;

/** Sets the receive buffer beyond the system's limit for it (CAP_NET_ADMIN); the kernel doubles the number for its bookkeeping. */
export const setReceiveBuffer = (fd: number, bytes: number): void => {
  const value = Buffer.alloc(4);
  value.writeInt32LE(bytes);
  const result = trySyscall("setsockopt", fd, SOL_SOCKET, SO_RCVBUFFORCE, value, 4);
  if (result < 0) throw new LinuxError("setsockopt", -result, "SO_RCVBUFFORCE");
};
