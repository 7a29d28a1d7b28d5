// As whom does ztunnel ask the controller for state and certificates?

import type { ChannelOptions } from "@ambit/shared/grpc/channel.ts";
import { xdsNode } from "@ambit/shared/proxy/node.ts";
import { controllerSources, type Sources } from "@ambit/shared/proxy/sources.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { eventLog } from "@ambit/shared/telemetry/event-log.ts";
import type { ScopedLogger } from "@ambit/shared/telemetry/log.ts";
import type { Metrics } from "@ambit/shared/telemetry/metrics.ts";
import type { XdsMetrics } from "@ambit/shared/xds/client.ts";
import type { ServerWithHeaders, ZtunnelConfig } from "./config.ts";

const channelTo = (server: ServerWithHeaders, { clusterId, token, tls }: ZtunnelConfig): ChannelOptions => ({
  ...server,
  clusterId,
  tls,
  tokenFile: token.kind === "file" ? token.path : undefined,
  headers: token.kind === "literal" ? { ...server.headers, authorization: `Bearer ${token.token}` } : server.headers,
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
export const ztunnelSources = (config: ZtunnelConfig, parts: { metrics: Metrics; world: World; log: ScopedLogger }): Sources =>
  controllerSources({
    xds: channelTo(config.xds, config),
    ca: channelTo(config.ca, config),
    certificates: { ttlMs: config.secretTtlMs, impersonate: true },
    node: xdsNode({ ...config, kind: "ztunnel", domain: "cluster.local" }),
    world: parts.world,
    log: eventLog(parts.log, "info"),
    metrics: xdsMetrics(parts.metrics),
  });
