// How is ztunnel configured? (Istio's environment variables, ambient-l4 section 1.2)

import {
  controlPlaneServer,
  DEFAULT_TOKEN_FILE,
  drainWithin,
  type ProxyEnvironment,
  proxyEnvironment,
  type ServerConfig,
} from "@ambit/shared/proxy/environment.ts";
import { bool, durationMs, type Env, integer, oneOf, type Parser, text } from "@ambit/shared/runtime/env.ts";
import { allOf, err, mapOk, ok, type Result } from "@ambit/shared/runtime/result.ts";
import type { LocalWorkload } from "@ambit/shared/state/view.ts";
import { type DnsConfig, dnsConfig } from "./dns/config.ts";
import type { SocketConfig } from "./inpod/listen.ts";
import type { EgressMode } from "./outbound/types.ts";
import { type ThreadSetting, threadSetting } from "./thread/count.ts";

/** With the headers that its calls carry. */
export type ServerWithHeaders = ServerConfig & { readonly headers: Readonly<Record<string, string>> };

/** A bearer token: a file that is read again for every call, or the token itself. */
export type Token = { readonly kind: "file"; readonly path: string } | { readonly kind: "literal"; readonly token: string };

export type ZtunnelConfig = ProxyEnvironment & {
  readonly network: string;
  /** Workloads and services are asked for when they are needed, instead of all being held. */
  readonly onDemand: boolean;
  readonly pod: { readonly name: string; readonly namespace: string; readonly ip: string };
  /** Whom ztunnel's own pod is, when all of it is told: its metrics are served through tunnels then. */
  readonly self: LocalWorkload | undefined;
  readonly xds: ServerWithHeaders;
  readonly ca: ServerWithHeaders;
  readonly token: Token;
  readonly zdsPath: string;
  readonly sockets: SocketConfig;
  readonly pool: { readonly maxStreams: number; readonly idleMs: number };
  readonly responseBaggage: boolean;
  /** Whether captured pods may reach what the mesh does not know. */
  readonly egress: EgressMode;
  /** Applications may ask for connections by SOCKS 5 on their pod's loopback. */
  readonly socks: boolean;
  /** Pods of this node reach each other within the process; false: through a tunnel, as if they were on two nodes. */
  readonly localShortcut: boolean;
  readonly dns: DnsConfig;
  /** How many data threads; undefined: as many as the cores ask for. */
  readonly threads: {
    readonly setting: ThreadSetting | undefined;
    readonly cpuLimit: number | undefined;
    readonly concurrency: number | undefined;
  };
  readonly drainMs: number;
};

/** A path when it looks like one, as Istio reads it; else the token itself. */
const tokenOf: Parser<Token> = (value) => ok(/^\.{0,2}\//.test(value) ? { kind: "file", path: value } : { kind: "literal", token: value });

/** The file of the mesh's configuration, as Istio mounts it. */
export const MESH_CONFIG_PATH = "./etc/istio/config/mesh";

/** How many threads a proxy's configuration asks for: Istio has no variable for it, but PROXY_CONFIG's `concurrency`. */
export const CONCURRENCY = "AMBIT_CONCURRENCY";

const DEFAULT_ZDS = "/var/run/ztunnel/ztunnel.sock";

const server = (env: Env, which: "XDS" | "CA"): Result<ServerWithHeaders> =>
  mapOk(controlPlaneServer(env, which), (at) => ({
    ...at,
    headers: Object.fromEntries([...env.prefixed(`${which}_HEADER_`)].map(([k, v]) => [k.toLowerCase(), v])),
  }));

/** Told outright, else as the pod's grace period allows. */
const drainMs = (env: Env): Result<number> =>
  mapOk(
    allOf({
      deadline: env.optional("CONNECTION_TERMINATION_DEADLINE", durationMs, undefined),
      grace: env.optional("TERMINATION_GRACE_PERIOD_SECONDS", integer(0, 86_400), undefined),
    }),
    ({ deadline, grace }) => deadline ?? drainWithin(grace),
  );

const self = (env: Env): Result<LocalWorkload | undefined> =>
  mapOk(
    allOf({
      name: env.optional("POD_NAME", text, undefined),
      namespace: env.optional("POD_NAMESPACE", text, undefined),
      serviceAccount: env.optional("SERVICE_ACCOUNT", text, undefined),
    }),
    ({ name, namespace, serviceAccount }) =>
      name === undefined || namespace === undefined || serviceAccount === undefined ? undefined : { name, namespace, serviceAccount },
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
      originalSource: env.optional("ENABLE_ORIG_SRC", bool, true),
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
      originalSource: v.originalSource,
    }),
  );

// What this ztunnel cannot be told to do, so that nobody believes that it does.
const only =
  (wanted: string, sentence: string): Parser<string> =>
  (value) =>
    value === wanted ? ok(value) : err(sentence);
const never =
  (sentence: string): Parser<never> =>
  () =>
    err(sentence);

const FROM_CONTROLLER = "the mesh's state comes from a controller, not from a file (`ambit up` runs one on this machine)";

const unsupported = (env: Env): Result<unknown> =>
  allOf({
    mode: env.optional(
      "PROXY_MODE",
      only("shared", "one ztunnel serves its whole node (shared), one per pod (dedicated) is not supported"),
      "",
    ),
    workload: env.optional("PROXY_WORKLOAD_INFO", never("only a ztunnel for one pod would be told of it, which is not supported"), ""),
    proxy: env.optional("ENABLE_PROXY", only("true", "a ztunnel that is no proxy has nothing to do"), ""),
    fakeCa: env.optional("FAKE_CA", only("false", "certificates come from a CA, made-up ones would be trusted by nobody"), ""),
    localPath: env.optional("LOCAL_XDS_PATH", never(FROM_CONTROLLER), ""),
    local: env.optional("LOCAL_XDS", never(FROM_CONTROLLER), ""),
    stream: env.optional("HTTP2_STREAM_WINDOW_SIZE", only("4194304", "it is fixed at 4194304 (4 MiB), as Istio's default"), ""),
    connection: env.optional("HTTP2_CONNECTION_WINDOW_SIZE", only("16777216", "it is fixed at 16777216 (16 MiB), as Istio's default"), ""),
    frame: env.optional("HTTP2_FRAME_SIZE", only("1048576", "it is fixed at 1048576 (1 MiB), as Istio's default"), ""),
  });

/** Reads every variable and reports every mistake. */
export const parseConfig = (env: Env): Result<ZtunnelConfig> =>
  mapOk(
    allOf({
      network: env.optional("NETWORK", text, ""),
      name: env.optional("POD_NAME", text, "ztunnel"),
      namespace: env.optional("POD_NAMESPACE", text, "istio-system"),
      ip: env.optional("INSTANCE_IP", text, "1.1.1.1"),
      self: self(env),
      xds: server(env, "XDS"),
      ca: server(env, "CA"),
      token: env.optional("AUTH_TOKEN", tokenOf, { kind: "file", path: DEFAULT_TOKEN_FILE } as const),
      zdsPath: env.optional("INPOD_UDS", text, DEFAULT_ZDS),
      sockets: sockets(env),
      maxStreams: env.optional("POOL_MAX_STREAMS_PER_CONNECTION", integer(1, 65_535), 100),
      idleMs: env.optional("POOL_UNUSED_RELEASE_TIMEOUT", durationMs, 300_000),
      responseBaggage: env.optional("ENABLE_RESPONSE_BAGGAGE", bool, true),
      egress: env.optional("OUTBOUND_TRAFFIC_POLICY", oneOf("ALLOW_ANY", "REGISTRY_ONLY"), "ALLOW_ANY" as const),
      socks: env.optional("UNSTABLE_ENABLE_SOCKS5", bool, false),
      localShortcut: env.optional("AMBIT_LOCAL_SHORTCUT", bool, true),
      dns: dnsConfig(env),
      threads: env.optional("ZTUNNEL_WORKER_THREADS", threadSetting, undefined),
      concurrency: env.optional(CONCURRENCY, integer(0, 1_024), undefined),
      cpuLimit: env.optional("ZTUNNEL_CPU_LIMIT", integer(1, 100_000), undefined),
      drainMs: drainMs(env),
      proxy: proxyEnvironment(env, "RUST_LOG"),
      onDemand: env.optional("XDS_ON_DEMAND", bool, false),
      unsupported: unsupported(env),
    }),
    (v) => ({
      ...v.proxy,
      network: v.network,
      onDemand: v.onDemand,
      pod: { name: v.name, namespace: v.namespace, ip: v.ip },
      self: v.self,
      xds: v.xds,
      ca: v.ca,
      token: v.token,
      zdsPath: v.zdsPath,
      sockets: v.sockets,
      pool: { maxStreams: v.maxStreams, idleMs: v.idleMs },
      responseBaggage: v.responseBaggage,
      egress: v.egress,
      socks: v.socks,
      localShortcut: v.localShortcut,
      dns: v.dns,
      threads: { setting: v.threads, cpuLimit: v.cpuLimit, concurrency: v.concurrency },
      drainMs: v.drainMs,
    }),
  );
