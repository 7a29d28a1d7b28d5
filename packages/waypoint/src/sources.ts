// As whom does a waypoint ask the controller for state and certificates?

import type { ChannelOptions } from "@ambit/shared/grpc/channel.ts";
import type { ServerConfig } from "@ambit/shared/proxy/environment.ts";
import { xdsNode } from "@ambit/shared/proxy/node.ts";
import { controllerSources, type Sources } from "@ambit/shared/proxy/sources.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { WaypointConfig } from "./config.ts";

const channelTo = (server: ServerConfig, { clusterId, tokenFile, tls }: WaypointConfig): ChannelOptions => ({
  ...server,
  clusterId,
  tokenFile,
  tls,
});

/** The controller that the configuration names. */
export const waypointSources = (config: WaypointConfig, parts: { world: World; log: (event: string, fields: object) => void }): Sources =>
  controllerSources({
    xds: channelTo(config.xds, config),
    ca: channelTo(config.ca, config),
    certificates: { ttlMs: config.secretTtlMs, impersonate: false },
    node: xdsNode({
      ...config,
      kind: "waypoint",
      domain: config.clusterDomain,
      metadata: { ...config.metadata, SERVICE_ACCOUNT: config.pod.serviceAccount, GATEWAY_NAME: config.gateway },
    }),
    ...parts,
  });
