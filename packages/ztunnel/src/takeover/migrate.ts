// How are waiting connections kept when a listening socket is closed that nobody has taken over?

import { writeFileSync } from "node:fs";
import { inNetns, type Netns } from "@ambit/shared/linux/netns.ts";

const SWITCH = "/proc/sys/net/ipv4/tcp_migrate_req";

/**
 * Lets the kernel move what waits in a closed listener's queue to another listener of the same port (SO_REUSEPORT), which is how two
 * ztunnels overlap that know no hand-over. "": done; else why not: /proc/sys is often read-only in a container, and kernels before
 * 5.14 have no such switch. Nothing depends on it.
 */
export const keepQueues = (netns: Pick<Netns, "fd">): string => {
  try {
    // Opened from inside: /proc/sys/net shows the namespace of the thread that opens it.
    inNetns(netns.fd, () => writeFileSync(SWITCH, "1"));
    return "";
  } catch (e) {
    return e instanceof Error ? e.message : String(e);
  }
};
