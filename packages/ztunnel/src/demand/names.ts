// What must be asked of the controller before a connection can be planned? (a mesh that is fetched on demand)

import type { Ip } from "@ambit/shared/addr/ip.ts";
import { addressKey } from "@ambit/shared/addr/socket.ts";
import { type GatewayAddress, serviceKey, type Workload } from "@ambit/shared/state/types.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";

export type LookUp = { readonly source: Pick<Workload, "network" | "namespace">; readonly to: Ip };

const gatewayNames = (view: MeshView, { destination: d }: GatewayAddress): readonly string[] => {
  if (d.kind === "hostname") return [`${d.namespace}/${d.hostname}`];
  const service = view.serviceByAddress(d.network, d.ip, "");
  return [addressKey(d.network, d.ip), ...(service === undefined ? [] : [serviceKey(service)])];
};

/**
 * The names, of those that may matter, that have not been asked for. What is answered may make others matter: ask again until
 * there are none. A service is asked for by its own name too: its endpoints come with that.
 */
export const namesToAsk = (view: MeshView, { source, to }: LookUp, asked: { has(name: string): boolean }): readonly string[] => {
  const workload = view.workloadByAddress(source.network, to);
  const service = view.serviceByAddress(source.network, to, source.namespace);
  const gateways = [
    service?.waypoint,
    ...(service?.weightedWaypoints ?? []).map((w) => w.destination),
    workload?.waypoint,
    workload?.networkGateway,
  ];
  const endpointGateways = service === undefined ? [] : view.endpoints(serviceKey(service)).map((e) => e.workload.networkGateway);
  const names = [
    ...(workload === undefined && service === undefined ? [addressKey(source.network, to)] : []),
    ...(service === undefined ? [] : [serviceKey(service)]),
    ...[...gateways, ...endpointGateways].flatMap((g) => (g === undefined ? [] : gatewayNames(view, g))),
  ];
  return [...new Set(names)].filter((n) => !asked.has(n));
};
