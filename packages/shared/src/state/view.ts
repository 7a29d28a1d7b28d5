// What may a decision ask of the mesh's state?

import type { Ip } from "../addr/ip.ts";
import type { Policy } from "../authz/types.ts";
import type { Endpoint, Service, Workload } from "./types.ts";

export type LocalWorkload = { readonly name: string; readonly namespace: string; readonly serviceAccount: string };

/** All that a decision is ever given of the state: synchronous look-ups over records that are replaced, never edited. */
export type MeshView = {
  workload(uid: string): Workload | undefined;
  /** The best workload that has the address on the network (Pod with HBONE > Pod > others); never a HOST_NETWORK one. */
  workloadByAddress(network: string, ip: Ip): Workload | undefined;
  /** The workload a ZDS announcement names. */
  workloadByName(who: LocalWorkload): Workload | undefined;
  service(key: string): Service | undefined;
  /** Exact VIP first, then the longest CIDR; the client's namespace > canonical > first; NAMESPACE visibility is honoured. */
  serviceByAddress(network: string, ip: Ip, clientNamespace: string): Service | undefined;
  /** By hostname: the client's namespace > canonical > first; NAMESPACE visibility is honoured. */
  serviceByHostname(hostname: string, clientNamespace: string): Service | undefined;
  /** Every service with the hostname, whoever may see it. */
  servicesByHostname(hostname: string): readonly Service[];
  workloadByHostname(hostname: string): Workload | undefined;
  /** In no order. The list is the live one, which the next commit changes: look at it, do not keep it. */
  endpoints(serviceKey: string): readonly Endpoint[];
  policy(key: string): Policy | undefined;
  /** Policies that hold without being named: GLOBAL, and NAMESPACE of the given one. */
  policiesForNamespace(namespace: string): readonly Policy[];
  /** Keys of policies that would hold so, but could not be read when they came, and have no earlier version. */
  refusedForNamespace(namespace: string): readonly string[];
};
