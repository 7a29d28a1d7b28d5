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
import { allOf, mapOk, ok, type Result } from "@ambit/shared/runtime/result.ts";
import { type DnsConfig, dnsConfig } from "./dns/config.ts";
import type { SocketConfig } from "./inpod/listen.ts";
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
  readonly xds: ServerWithHeaders;
  readonly ca: ServerWithHeaders;
  readonly token: Token;
  readonly zdsPath: string;
  readonly sockets: SocketConfig;
  readonly pool: { readonly maxStreams: number; readonly idleMs: number };
  readonly responseBaggage: boolean;
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
  });

/** Reads every variable and reports every mistake. */
export const parseConfig = (env: Env): Result<ZtunnelConfig> =>
  mapOk(
    allOf({
      network: env.optional("NETWORK", text, ""),
      name: env.optional("POD_NAME", text, "ztunnel"),
      namespace: env.optional("POD_NAMESPACE", text, "istio-system"),
      ip: env.optional("INSTANCE_IP", text, "1.1.1.1"),
      xds: server(env, "XDS"),
      ca: server(env, "CA"),
      token: env.optional("AUTH_TOKEN", tokenOf, { kind: "file", path: DEFAULT_TOKEN_FILE } as const),
      zdsPath: env.optional("INPOD_UDS", text, DEFAULT_ZDS),
      sockets: sockets(env),
      maxStreams: env.optional("POOL_MAX_STREAMS_PER_CONNECTION", integer(1, 65_535), 100),
      idleMs: env.optional("POOL_UNUSED_RELEASE_TIMEOUT", durationMs, 300_000),
      responseBaggage: env.optional("ENABLE_RESPONSE_BAGGAGE", bool, true),
      localShortcut: env.optional("AMBIT_LOCAL_SHORTCUT", bool, true),
      dns: dnsConfig(env),
      threads: env.optional("ZTUNNEL_WORKER_THREADS", threadSetting, undefined),
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
      xds: v.xds,
      ca: v.ca,
      token: v.token,
      zdsPath: v.zdsPath,
      sockets: v.sockets,
      pool: { maxStreams: v.maxStreams, idleMs: v.idleMs },
      responseBaggage: v.responseBaggage,
      localShortcut: v.localShortcut,
      dns: v.dns,
      threads: { setting: v.threads, cpuLimit: v.cpuLimit, concurrency: undefined },
      drainMs: v.drainMs,
    }),
  );
