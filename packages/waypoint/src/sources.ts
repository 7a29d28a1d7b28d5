// Where do state and certificates come from? (the controller, over gRPC)

import { createCaClient } from "@ambit/shared/ca/client.ts";
import type { IssuedCert } from "@ambit/shared/ca/types.ts";
import { type Channel, createChannel } from "@ambit/shared/grpc/channel.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Node } from "@ambit/shared/wire/types.ts";
import { createXdsClient, type XdsClient, type XdsType } from "@ambit/shared/xds/client.ts";
import type { ServerConfig, WaypointConfig } from "./config.ts";

/** What a waypoint takes from the control plane; a test gives its own. */
export type Sources = {
  readonly fetchCertificate: (id: SpiffeId, signal: AbortSignal) => Promise<IssuedCert>;
  follow(types: readonly XdsType[]): Pick<XdsClient, "run" | "firstSync">;
  close(): void;
};

const channelTo = (server: ServerConfig, config: WaypointConfig): Channel =>
  createChannel({
    address: server.address,
    roots: server.roots,
    serverName: server.serverName,
    clusterId: config.clusterId,
    tokenFile: config.tokenFile,
  });

const nodeOf = (c: WaypointConfig): Node => ({
  id: `waypoint~${c.pod.ip}~${c.pod.name}.${c.pod.namespace}~${c.pod.namespace}.svc.${c.clusterDomain}`,
  metadata: {
    ...c.metadata,
    NAME: c.pod.name,
    NAMESPACE: c.pod.namespace,
    INSTANCE_IPS: c.pod.ip,
    NODE_NAME: c.node,
    CLUSTER_ID: c.clusterId,
    SERVICE_ACCOUNT: c.pod.serviceAccount,
    GATEWAY_NAME: c.gateway,
  },
});

/** The controller that the configuration names. */
export const controllerSources = (
  config: WaypointConfig,
  parts: { world: World; log: (event: string, fields: object) => void },
): Sources => {
  const xds = channelTo(config.xds, config);
  const ca = channelTo(config.ca, config);
  const client = createCaClient({ channel: ca, ttlMs: config.secretTtlMs, impersonate: false });
  return {
    fetchCertificate: (id, signal) => client.fetch(id, signal),
    follow: (types) => createXdsClient({ channel: xds, node: nodeOf(config), types, world: parts.world, log: parts.log }),
    close: () => {
      xds.close();
      ca.close();
    },
  };
};
