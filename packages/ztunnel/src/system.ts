// Does the kernel let ztunnel do what it must?

import { inNetns, ownNetns } from "@ambit/shared/linux/netns.ts";
import { closeFd, socketIn } from "@ambit/shared/linux/socket.ts";

/** Tried once: entering a namespace, a marked and a transparent socket. Throws a sentence when one of them is refused. */
export const verifySystem = (mark: number): void => {
  try {
    using own = ownNetns();
    closeFd(inNetns(own.fd, () => socketIn({ family: "ipv4", mark, transparent: true })));
  } catch (e) {
    throw new Error(`ztunnel needs the capabilities NET_ADMIN and SYS_ADMIN: ${e instanceof Error ? e.message : String(e)}`, { cause: e });
  }
};
