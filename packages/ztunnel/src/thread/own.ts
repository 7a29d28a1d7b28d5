// How does a thread get listening sockets of its own from numbers that belong to another thread?

import { closeFd, dupFd } from "@ambit/shared/linux/socket.ts";
import type { ListenerFds } from "./messages.ts";

/** A dup of each; all or none. */
export const ownFds = (fds: ListenerFds): ListenerFds => {
  const own: number[] = [];
  const dup = (fd: number): number => {
    const n = dupFd(fd);
    own.push(n);
    return n;
  };
  try {
    return Object.fromEntries(Object.entries(fds).map(([name, list]) => [name, list.map(dup)]));
  } catch (e) {
    for (const fd of own) closeFd(fd);
    throw e;
  }
};
