// Which of a workload's addresses is dialled?

import { type Ip, isV4 } from "../addr/ip.ts";
import type { IpFamilies, Workload } from "./types.ts";

/** The family of address to look for: the one that was dialled, unless the service has only the other one. */
export const wantedFamily = (dialled: Ip, families: IpFamilies = "AUTOMATIC"): "ipv4" | "ipv6" =>
  families === "IPV4_ONLY" || (families !== "IPV6_ONLY" && isV4(dialled)) ? "ipv4" : "ipv6";

/**
 * The very address that was dialled when it is the workload's own; else one of the wanted family; else any. Undefined when it has
 * none (ambient-l4 section 1.6).
 */
export const endpointAddress = (w: Pick<Workload, "addresses">, dialled: Ip, families: IpFamilies = "AUTOMATIC"): Ip | undefined => {
  if (w.addresses.includes(dialled)) return dialled;
  const family = wantedFamily(dialled, families);
  return w.addresses.find((ip) => isV4(ip) === (family === "ipv4")) ?? w.addresses[0];
};
