// Which resource types are served, in which order, and to whom?

import { ok } from "@ambit/shared/runtime/result.ts";
import { encodeAddress } from "@ambit/shared/wire/address.ts";
import { encodeAuthorization } from "@ambit/shared/wire/authorization.ts";
import { ADDRESS_TYPE, AUTHORIZATION_TYPE, addressAliases, WAYPOINT_SERVICE_TYPE } from "@ambit/shared/wire/types.ts";
import { encodeWaypointService } from "@ambit/shared/wire/waypoint.ts";
import type { XdsServerOptions } from "@ambit/shared/xds/server.ts";
import type { Mesh } from "../model/mesh.ts";
import type { ProxyClient } from "./auth.ts";
import { createSource } from "./resources.ts";

/** Policies come before the workloads that name them: a workload whose policy is not there yet denies everything. */
export const servedTypes = (mesh: Mesh, log: (event: string, fields: object) => void): XdsServerOptions<ProxyClient>["types"] => {
  const onBroken = (typeUrl: string) => (name: string, reason: string) => log("resource_not_encoded", { typeUrl, name, reason });
  /** A proxy is a waypoint only if there is one and it runs as that waypoint's service account. */
  const isWaypoint = (proxy: ProxyClient): boolean =>
    proxy.gateway !== undefined && mesh.waypoints.get(proxy.gateway)?.serviceAccount === proxy.serviceAccount;
  const owns = (proxy: ProxyClient, owners: readonly string[]): boolean =>
    proxy.gateway !== undefined && owners.includes(proxy.gateway) && isWaypoint(proxy);
  /** Waypoints that come and go may see more or less than before. */
  const onWaypoints = (listener: () => void): void => {
    mesh.waypoints.subscribe((changes) => {
      if (changes.some((c) => c.old?.serviceAccount !== c.value?.serviceAccount)) listener();
    });
  };
  return [
    {
      typeUrl: AUTHORIZATION_TYPE,
      source: createSource({
        collection: mesh.policies,
        encode: encodeAuthorization,
        // What waypoints enforce comes with their services.
        visible: (proxy: ProxyClient) => proxy.kind === "ztunnel",
        onBroken: onBroken(AUTHORIZATION_TYPE),
      }),
    },
    {
      typeUrl: ADDRESS_TYPE,
      source: createSource({
        collection: mesh.addresses,
        encode: (a) => ok(encodeAddress(a)),
        aliases: addressAliases,
        companionOf: (a) => (a.kind === "workload" ? Object.keys(a.workload.services) : []),
        visible: (proxy: ProxyClient) => proxy.kind === "ztunnel" || isWaypoint(proxy),
        onVisibility: onWaypoints,
        onBroken: onBroken(ADDRESS_TYPE),
      }),
    },
    {
      typeUrl: WAYPOINT_SERVICE_TYPE,
      source: createSource({
        collection: mesh.waypointServices,
        encode: (s) => ok(encodeWaypointService(s.service)),
        visible: (proxy: ProxyClient, s) => owns(proxy, s.owners),
        onVisibility: onWaypoints,
        onBroken: onBroken(WAYPOINT_SERVICE_TYPE),
      }),
    },
  ];
};
