// How is the waypoint configured? (Istio's environment variables for a waypoint pod)

import type { Roots } from "@ambit/shared/grpc/channel.ts";
import {
  controlPlaneServer,
  DEFAULT_ROOTS,
  DEFAULT_TOKEN_FILE,
  drainWithin,
  type ProxyEnvironment,
  proxyEnvironment,
  type ServerConfig,
} from "@ambit/shared/proxy/environment.ts";
import { durationMs, type Env, integer, oneOf, type Parser, port, text } from "@ambit/shared/runtime/env.ts";
import { allOf, mapOk, ok, type Result } from "@ambit/shared/runtime/result.ts";

export type WaypointConfig = Omit<ProxyEnvironment, "ports"> & {
  /** The Gateway we are: its name is also our Service's. */
  readonly gateway: string;
  readonly pod: { readonly name: string; readonly namespace: string; readonly ip: string; readonly serviceAccount: string };
  readonly network: string;
  readonly xds: ServerConfig;
  readonly ca: ServerConfig;
  readonly tokenFile: string;
  readonly ports: ProxyEnvironment["ports"] & { readonly hbone: number };
  /** Where peers' tunnels are dialled. */
  readonly peerHbonePort: number;
  readonly detectMs: number;
  readonly connectTimeoutMs: number;
  readonly drainMs: number;
  readonly accessLog: "text" | "json" | "off";
};

const rootFile: Parser<Roots> = (path) => ok({ kind: "file", path });

const server = (env: Env, which: "XDS" | "CA"): Result<ServerConfig> =>
  controlPlaneServer(env, which, env.optional("ROOT_CERT_FILE", rootFile, DEFAULT_ROOTS));

/** Reads every variable and reports every mistake. */
export const parseConfig = (env: Env): Result<WaypointConfig> =>
  mapOk(
    allOf({
      gateway: env.required("GATEWAY_NAME", text),
      name: env.required("POD_NAME", text),
      namespace: env.required("POD_NAMESPACE", text),
      serviceAccount: env.required("SERVICE_ACCOUNT", text),
      ip: env.required("INSTANCE_IP", text),
      network: env.optional("NETWORK", text, ""),
      metaNetwork: env.optional("ISTIO_META_NETWORK", text, undefined),
      xds: server(env, "XDS"),
      ca: server(env, "CA"),
      tokenFile: env.optional("TOKEN_FILE", text, DEFAULT_TOKEN_FILE),
      hbone: env.optional("HBONE_PORT", port, 15008),
      peerHbone: env.optional("PEER_HBONE_PORT", port, 15008),
      detectMs: env.optional("PROTOCOL_DETECTION_TIMEOUT", durationMs, 5_000),
      connectTimeoutMs: env.optional("CONNECT_TIMEOUT", durationMs, 10_000),
      grace: env.optional("TERMINATION_GRACE_PERIOD_SECONDS", integer(0, 86_400), undefined),
      accessLog: env.optional("ACCESS_LOG", oneOf("text", "json", "off"), undefined),
      proxy: proxyEnvironment(env, "LOG_LEVEL"),
    }),
    (v) => ({
      ...v.proxy,
      gateway: v.gateway,
      pod: { name: v.name, namespace: v.namespace, ip: v.ip, serviceAccount: v.serviceAccount },
      network: v.metaNetwork ?? v.network,
      xds: v.xds,
      ca: v.ca,
      tokenFile: v.tokenFile,
      ports: { hbone: v.hbone, ...v.proxy.ports },
      peerHbonePort: v.peerHbone,
      detectMs: v.detectMs,
      connectTimeoutMs: v.connectTimeoutMs,
      drainMs: drainWithin(v.grace),
      accessLog: v.accessLog ?? v.proxy.log.format,
    }),
  );
