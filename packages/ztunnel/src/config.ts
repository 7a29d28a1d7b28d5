// How is ztunnel configured? (Istio's environment variables, ambient-l4 section 1.2)

import { parseHostPort } from "@ambit/shared/addr/socket.ts";
import type { Roots } from "@ambit/shared/grpc/channel.ts";
import { bool, durationMs, type Env, integer, oneOf, type Parser, port, text } from "@ambit/shared/runtime/env.ts";
import { allOf, err, mapOk, ok, type Result } from "@ambit/shared/runtime/result.ts";
import { type Levels, parseLevels } from "@ambit/shared/telemetry/log-levels.ts";
import type { SocketConfig } from "./inpod/listen.ts";

/** A gRPC server of the control plane. */
export type ServerConfig = {
  /** "host:port". */
  readonly address: string;
  readonly roots: Roots;
  readonly serverName: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
};

/** A bearer token: a file that is read again for every call, or the token itself. */
export type Token = { readonly kind: "file"; readonly path: string } | { readonly kind: "literal"; readonly token: string };

export type ZtunnelConfig = {
  readonly clusterId: string;
  readonly clusterDomain: string;
  readonly trustDomain: string;
  readonly network: string;
  readonly node: string;
  readonly pod: { readonly name: string; readonly namespace: string; readonly ip: string };
  readonly xds: ServerConfig;
  readonly ca: ServerConfig;
  readonly token: Token;
  readonly secretTtlMs: number;
  readonly zdsPath: string;
  readonly sockets: SocketConfig;
  readonly pool: { readonly maxStreams: number; readonly idleMs: number };
  readonly responseBaggage: boolean;
  readonly drainMs: number;
  readonly log: { readonly format: "text" | "json"; readonly level: string };
  readonly ports: { readonly admin: number; readonly stats: number; readonly readiness: number };
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

/** A path when it looks like one, as Istio reads it; else the token itself. */
const tokenOf: Parser<Token> = (value) => ok(/^\.{0,2}\//.test(value) ? { kind: "file", path: value } : { kind: "literal", token: value });

const levels: Parser<string> = (value) => mapOk<Levels, string, string>(parseLevels(value), () => value);

const DEFAULT_SERVER = "https://istiod.istio-system.svc:15012";
const DEFAULT_ROOT = "./var/run/secrets/istio/root-cert.pem";
const DEFAULT_TOKEN = "./var/run/secrets/tokens/istio-token";
const DEFAULT_ZDS = "/var/run/ztunnel/ztunnel.sock";

const server = (env: Env, which: "XDS" | "CA"): Result<ServerConfig> =>
  mapOk(
    allOf({
      at: env.optional(`${which}_ADDRESS`, serverAddress, undefined),
      fallback: serverAddress(DEFAULT_SERVER),
      roots: env.optional(`${which}_ROOT_CA`, rootsOf, { kind: "file", path: DEFAULT_ROOT } as const),
      serverName: env.optional(`ALT_${which}_HOSTNAME`, text, undefined),
    }),
    ({ at, fallback, roots, serverName }) => {
      const { address, plaintext } = at ?? fallback;
      const headers = Object.fromEntries([...env.prefixed(`${which}_HEADER_`)].map(([k, v]) => [k.toLowerCase(), v]));
      return { address, roots: plaintext ? { kind: "plaintext" } : roots, serverName, headers };
    },
  );

/** Time to let connections end, in ms: told outright, else the pod's grace period less a margin, else 5 s. */
const drainMs = (env: Env): Result<number> =>
  mapOk(
    allOf({
      deadline: env.optional("CONNECTION_TERMINATION_DEADLINE", durationMs, undefined),
      grace: env.optional("TERMINATION_GRACE_PERIOD_SECONDS", integer(0, 86_400), undefined),
    }),
    ({ deadline, grace }) => {
      if (deadline !== undefined) return deadline;
      if (grace === undefined) return 5_000;
      return Math.max(1, grace > 10 ? grace - 5 : grace - 1) * 1_000;
    },
  );

const sockets = (env: Env): Result<SocketConfig> =>
  mapOk(
    allOf({
      mark: env.optional("PACKET_MARK", integer(1, 0x7fff_ffff), 1337),
      ipv6: env.optional("IPV6_ENABLED", bool, true),
      portReuse: env.optional("INPOD_PORT_REUSE", bool, true),
      keepalive: env.optional("KEEPALIVE_ENABLED", bool, true),
      time: env.optional("KEEPALIVE_TIME", durationMs, 180_000),
      interval: env.optional("KEEPALIVE_INTERVAL", durationMs, 180_000),
      retries: env.optional("KEEPALIVE_RETRIES", integer(1, 127), 9),
      userTimeout: env.optional("USER_TIMEOUT_ENABLED", bool, false),
    }),
    (v) => ({
      mark: v.mark,
      ipv6: v.ipv6,
      portReuse: v.portReuse,
      keepalive: v.keepalive
        ? {
            idleSeconds: Math.max(1, Math.round(v.time / 1000)),
            intervalSeconds: Math.max(1, Math.round(v.interval / 1000)),
            probes: v.retries,
          }
        : undefined,
      userTimeoutMs: v.userTimeout ? v.time + v.retries * v.interval : undefined,
      connectTimeoutMs: 10_000,
    }),
  );

// What this ztunnel cannot be told to do, so that nobody believes that it does.
const unsupported = (env: Env): Result<unknown> =>
  allOf({
    mode: env.optional("PROXY_MODE", oneOf("shared"), "shared"),
    crl: env.optional("CRL_PATH", () => err("certificate revocation lists are not supported yet"), ""),
    onDemand: env.optional("XDS_ON_DEMAND", oneOf("false", "0"), "false"),
  });

/** Reads every variable and reports every mistake. */
export const parseConfig = (env: Env): Result<ZtunnelConfig> =>
  mapOk(
    allOf({
      clusterId: env.optional("CLUSTER_ID", text, "Kubernetes"),
      metaClusterId: env.optional("ISTIO_META_CLUSTER_ID", text, undefined),
      clusterDomain: env.optional("CLUSTER_DOMAIN", text, "cluster.local"),
      trustDomain: env.optional("TRUST_DOMAIN", text, "cluster.local"),
      network: env.optional("NETWORK", text, ""),
      node: env.optional("NODE_NAME", text, ""),
      name: env.optional("POD_NAME", text, "ztunnel"),
      namespace: env.optional("POD_NAMESPACE", text, "istio-system"),
      ip: env.optional("INSTANCE_IP", text, "1.1.1.1"),
      xds: server(env, "XDS"),
      ca: server(env, "CA"),
      token: env.optional("AUTH_TOKEN", tokenOf, { kind: "file", path: DEFAULT_TOKEN } as const),
      secretTtlMs: env.optional("SECRET_TTL", durationMs, 86_400_000),
      zdsPath: env.optional("INPOD_UDS", text, DEFAULT_ZDS),
      sockets: sockets(env),
      maxStreams: env.optional("POOL_MAX_STREAMS_PER_CONNECTION", integer(1, 65_535), 100),
      idleMs: env.optional("POOL_UNUSED_RELEASE_TIMEOUT", durationMs, 300_000),
      responseBaggage: env.optional("ENABLE_RESPONSE_BAGGAGE", bool, true),
      drainMs: drainMs(env),
      format: env.optional("LOG_FORMAT", oneOf("json", "plain", "text"), "text"),
      level: env.optional("RUST_LOG", levels, "info"),
      admin: env.optional("ADMIN_PORT", port, 15000),
      stats: env.optional("STATS_PORT", port, 15020),
      readiness: env.optional("READINESS_PORT", port, 15021),
      version: env.optional("AMBIT_VERSION", text, "dev"),
      unsupported: unsupported(env),
    }),
    (v) => ({
      clusterId: v.metaClusterId ?? v.clusterId,
      clusterDomain: v.clusterDomain,
      trustDomain: v.trustDomain,
      network: v.network,
      node: v.node,
      pod: { name: v.name, namespace: v.namespace, ip: v.ip },
      xds: v.xds,
      ca: v.ca,
      token: v.token,
      secretTtlMs: v.secretTtlMs,
      zdsPath: v.zdsPath,
      sockets: v.sockets,
      pool: { maxStreams: v.maxStreams, idleMs: v.idleMs },
      responseBaggage: v.responseBaggage,
      drainMs: v.drainMs,
      log: { format: v.format === "json" ? "json" : "text", level: v.level },
      ports: { admin: v.admin, stats: v.stats, readiness: v.readiness },
      metadata: Object.fromEntries(env.prefixed("ISTIO_META_")),
      version: v.version,
    }),
  );
