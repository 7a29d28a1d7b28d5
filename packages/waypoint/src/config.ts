// How is the waypoint configured? (Istio's environment variables for a waypoint pod)

import { parseHostPort } from "@ambit/shared/addr/socket.ts";
import type { Roots } from "@ambit/shared/grpc/channel.ts";
import { durationMs, type Env, integer, oneOf, type Parser, port, text } from "@ambit/shared/runtime/env.ts";
import { allOf, err, mapOk, ok, type Result } from "@ambit/shared/runtime/result.ts";
import { type Levels, parseLevels } from "@ambit/shared/telemetry/log-levels.ts";

/** A gRPC server of the control plane. */
export type ServerConfig = {
  /** "host:port". */
  readonly address: string;
  readonly roots: Roots;
  readonly serverName: string | undefined;
};

export type WaypointConfig = {
  /** The Gateway we are: its name is also our Service's. */
  readonly gateway: string;
  readonly pod: { readonly name: string; readonly namespace: string; readonly ip: string; readonly serviceAccount: string };
  readonly node: string;
  readonly clusterId: string;
  readonly clusterDomain: string;
  readonly trustDomain: string;
  readonly network: string;
  readonly xds: ServerConfig;
  readonly ca: ServerConfig;
  readonly tokenFile: string;
  readonly secretTtlMs: number;
  readonly ports: { readonly hbone: number; readonly admin: number; readonly stats: number; readonly readiness: number };
  /** Where peers' tunnels are dialled. */
  readonly peerHbonePort: number;
  readonly detectMs: number;
  readonly connectTimeoutMs: number;
  readonly drainMs: number;
  readonly log: { readonly format: "text" | "json"; readonly level: string };
  readonly accessLog: "text" | "json" | "off";
  /** ISTIO_META_*, sent to the controller as the node's metadata. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly version: string;
};

type Address = { readonly address: string; readonly plaintext: boolean };

const serverAddress: Parser<Address> = (value) => {
  const m = /^(?:(https?):\/\/)?(.+?)\/?$/.exec(value);
  const parsed = parseHostPort(m?.[2] ?? "");
  return parsed.ok ? ok({ address: m?.[2] ?? "", plaintext: m?.[1] === "http" }) : err("want https://host:port");
};

const rootsOf: Parser<Roots> = (value) => {
  if (value === "SYSTEM") return ok({ kind: "system" });
  return ok(value.includes("-----BEGIN") ? { kind: "pem", pem: value } : { kind: "file", path: value });
};

const levels: Parser<string> = (value) => mapOk<Levels, string, string>(parseLevels(value), () => value);

const DEFAULT_SERVER: Address = { address: "istiod.istio-system.svc:15012", plaintext: false };
const DEFAULT_ROOT_FILE = "./var/run/secrets/istio/root-cert.pem";
const DEFAULT_TOKEN = "./var/run/secrets/tokens/istio-token";

const server = (env: Env, which: "XDS" | "CA"): Result<ServerConfig> =>
  mapOk(
    allOf({
      at: env.optional(`${which}_ADDRESS`, serverAddress, DEFAULT_SERVER),
      roots: env.optional(`${which}_ROOT_CA`, rootsOf, undefined),
      rootFile: env.optional("ROOT_CERT_FILE", text, DEFAULT_ROOT_FILE),
      serverName: env.optional(`ALT_${which}_HOSTNAME`, text, undefined),
    }),
    ({ at, roots, rootFile, serverName }) => ({
      address: at.address,
      roots: at.plaintext ? { kind: "plaintext" } : (roots ?? { kind: "file", path: rootFile }),
      serverName,
    }),
  );

/** The pod's grace period less a margin for closing; 5 s where it is not told. */
const drainOf = (graceSeconds: number | undefined): number =>
  graceSeconds === undefined ? 5_000 : Math.max(1, graceSeconds > 10 ? graceSeconds - 5 : graceSeconds - 1) * 1_000;

/** Reads every variable and reports every mistake. */
export const parseConfig = (env: Env): Result<WaypointConfig> =>
  mapOk(
    allOf({
      gateway: env.required("GATEWAY_NAME", text),
      name: env.required("POD_NAME", text),
      namespace: env.required("POD_NAMESPACE", text),
      serviceAccount: env.required("SERVICE_ACCOUNT", text),
      ip: env.required("INSTANCE_IP", text),
      node: env.optional("NODE_NAME", text, ""),
      clusterId: env.optional("CLUSTER_ID", text, "Kubernetes"),
      metaClusterId: env.optional("ISTIO_META_CLUSTER_ID", text, undefined),
      clusterDomain: env.optional("CLUSTER_DOMAIN", text, "cluster.local"),
      trustDomain: env.optional("TRUST_DOMAIN", text, "cluster.local"),
      network: env.optional("NETWORK", text, ""),
      metaNetwork: env.optional("ISTIO_META_NETWORK", text, undefined),
      xds: server(env, "XDS"),
      ca: server(env, "CA"),
      tokenFile: env.optional("TOKEN_FILE", text, DEFAULT_TOKEN),
      secretTtlMs: env.optional("SECRET_TTL", durationMs, 86_400_000),
      hbone: env.optional("HBONE_PORT", port, 15008),
      admin: env.optional("ADMIN_PORT", port, 15000),
      stats: env.optional("STATS_PORT", port, 15020),
      readiness: env.optional("READINESS_PORT", port, 15021),
      peerHbone: env.optional("PEER_HBONE_PORT", port, 15008),
      detectMs: env.optional("PROTOCOL_DETECTION_TIMEOUT", durationMs, 5_000),
      connectTimeoutMs: env.optional("CONNECT_TIMEOUT", durationMs, 10_000),
      grace: env.optional("TERMINATION_GRACE_PERIOD_SECONDS", integer(0, 86_400), undefined),
      format: env.optional("LOG_FORMAT", oneOf("json", "plain", "text"), "text"),
      level: env.optional("LOG_LEVEL", levels, "info"),
      accessLog: env.optional("ACCESS_LOG", oneOf("text", "json", "off"), undefined),
      version: env.optional("AMBIT_VERSION", text, "dev"),
    }),
    (v) => {
      const format = v.format === "json" ? "json" : "text";
      return {
        gateway: v.gateway,
        pod: { name: v.name, namespace: v.namespace, ip: v.ip, serviceAccount: v.serviceAccount },
        node: v.node,
        clusterId: v.metaClusterId ?? v.clusterId,
        clusterDomain: v.clusterDomain,
        trustDomain: v.trustDomain,
        network: v.metaNetwork ?? v.network,
        xds: v.xds,
        ca: v.ca,
        tokenFile: v.tokenFile,
        secretTtlMs: v.secretTtlMs,
        ports: { hbone: v.hbone, admin: v.admin, stats: v.stats, readiness: v.readiness },
        peerHbonePort: v.peerHbone,
        detectMs: v.detectMs,
        connectTimeoutMs: v.connectTimeoutMs,
        drainMs: drainOf(v.grace),
        log: { format, level: v.level },
        accessLog: v.accessLog ?? format,
        metadata: Object.fromEntries(env.prefixed("ISTIO_META_")),
        version: v.version,
      };
    },
  );
