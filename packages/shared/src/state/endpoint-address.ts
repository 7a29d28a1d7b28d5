// Which of a workload's addresses is dialled?

import { type Ip, isV4 } from "../addr/ip.ts";
import type { IpFamilies, Workload } from "./types.ts";

/**
 * The very address that was dialled when it is the workload's own; else one of the family that was dialled, unless the
 * service has only the other one; else any. Undefined when it has none (ambient-l4 section 1.6).
 */
export const endpointAddress = (w: Pick<Workload, "addresses">, dialled: Ip, families: IpFamilies = "AUTOMATIC"): Ip | undefined => {
  if (w.addresses.includes(dialled)) return dialled;
  const wantV4 = families === "IPV4_ONLY" || (families !== "IPV6_ONLY" && isV4(dialled));
  return w.addresses.find((ip) => isV4(ip) === wantV4) ?? w.addresses[0];
};
