// Where do state and certificates come from? (the controller, over gRPC)

import { createCaClient } from "@ambit/shared/ca/client.ts";
import type { IssuedCert } from "@ambit/shared/ca/types.ts";
import { type Channel, createChannel } from "@ambit/shared/grpc/channel.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { ScopedLogger } from "@ambit/shared/telemetry/log.ts";
import type { Metrics } from "@ambit/shared/telemetry/metrics.ts";
import type { Node } from "@ambit/shared/wire/types.ts";
import { createXdsClient, type XdsClient, type XdsMetrics, type XdsType } from "@ambit/shared/xds/client.ts";
import type { ServerConfig, ZtunnelConfig } from "./config.ts";
import { eventLog } from "./log-fields.ts";

/** What ztunnel takes from the control plane; a test gives its own. */
export type Sources = {
  readonly fetchCertificate: (id: SpiffeId, signal: AbortSignal) => Promise<IssuedCert>;
  follow(types: readonly XdsType[]): Pick<XdsClient, "run" | "firstSync">;
  close(): void;
};

const channelTo = (server: ServerConfig, config: ZtunnelConfig): Channel =>
  createChannel({
    address: server.address,
    roots: server.roots,
    serverName: server.serverName,
    clusterId: config.clusterId,
    tokenFile: config.token.kind === "file" ? config.token.path : undefined,
    headers: config.token.kind === "literal" ? { ...server.headers, authorization: `Bearer ${config.token.token}` } : server.headers,
  });

const nodeOf = ({ pod, node, metadata, clusterId }: ZtunnelConfig): Node => ({
  id: `ztunnel~${pod.ip}~${pod.name}.${pod.namespace}~${pod.namespace}.svc.cluster.local`,
  metadata: { ...metadata, NAME: pod.name, NAMESPACE: pod.namespace, INSTANCE_IPS: pod.ip, NODE_NAME: node, CLUSTER_ID: clusterId },
});

const xdsMetrics = (metrics: Metrics): XdsMetrics => {
  const messages = metrics.counter({ name: "istio_xds_message_total", help: "xDS messages received.", labels: ["url"] });
  const bytes = metrics.counter({ name: "istio_xds_message_bytes_total", help: "Bytes of xDS messages received.", labels: ["url"] });
  const ended = metrics.counter({
    name: "istio_xds_connection_terminations_total",
    help: "xDS connections that ended.",
    labels: ["reason"],
  });
  return {
    terminated: (reason) => ended.with({ reason }).add(),
    message: (url, size) => {
      messages.with({ url }).add();
      bytes.with({ url }).add(size);
    },
  };
};

/** The controller that the configuration names. */
export const controllerSources = (config: ZtunnelConfig, parts: { metrics: Metrics; world: World; log: ScopedLogger }): Sources => {
  const xds = channelTo(config.xds, config);
  const ca = channelTo(config.ca, config);
  const client = createCaClient({ channel: ca, ttlMs: config.secretTtlMs, impersonate: true });
  return {
    fetchCertificate: (id, signal) => client.fetch(id, signal),
    follow: (types) =>
      createXdsClient({
        channel: xds,
        node: nodeOf(config),
        types,
        world: parts.world,
        log: eventLog(parts.log, "info"),
        metrics: xdsMetrics(parts.metrics),
      }),
    close: () => {
      xds.close();
      ca.close();
    },
  };
};
