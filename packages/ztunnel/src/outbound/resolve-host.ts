// How is a hostname made an address, for endpoints that have no other?

import type { Ip } from "@ambit/shared/addr/ip.ts";
import type { Workload } from "@ambit/shared/state/types.ts";

export type HostResolver = {
  /** One address of the name, at random, of the preferred family where it has one. Throws MeshError when there is none. */
  resolve(
    hostname: string,
    how: { readonly prefer: "ipv4" | "ipv6"; readonly source: Workload; readonly signal: AbortSignal },
  ): Promise<Ip>;
};
