// What does its environment tell every proxy of the mesh? (Istio's variables, ambient-l4 section 1.2)

import { parseHostPort } from "../addr/socket.ts";
import type { Roots } from "../grpc/channel.ts";
import { trustDomain, trustDomains } from "../identity/aliases.ts";
import { bool, durationMs, type Env, oneOf, type Parser, port, text } from "../runtime/env.ts";
import { allOf, err, mapOk, ok, type Result } from "../runtime/result.ts";
import { levelsText } from "../telemetry/log-levels.ts";
import { parseCompliance, type TlsPolicy, tlsPolicy } from "../tls/policy.ts";

/** A gRPC server of the control plane. */
export type ServerConfig = {
  /** "host:port". */
  readonly address: string;
  readonly roots: Roots;
  /** The name its certificate must have, when it is not the host's. */
  readonly serverName: string | undefined;
};

export type ProxyEnvironment = {
  readonly clusterId: string;
  readonly clusterDomain: string;
  readonly trustDomain: string;
  readonly node: string;
  readonly secretTtlMs: number;
  readonly ports: { readonly admin: number; readonly stats: number; readonly readiness: number };
  readonly log: { readonly format: "text" | "json"; readonly level: string };
  /** ISTIO_META_*, sent to the controller as the node's metadata. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly version: string;
  /** COMPLIANCE_POLICY and TLS12_ENABLED. */
  readonly tls: TlsPolicy;
  /** Other names of our trust domain (TRUST_DOMAIN_ALIASES). */
  readonly trustDomainAliases: readonly string[];
  /** The revocation lists (CRL_PATH); undefined: none are looked for. */
  readonly crlPath: string | undefined;
};

export const DEFAULT_TOKEN_FILE = "./var/run/secrets/tokens/istio-token";

export const DEFAULT_ROOTS: Roots = { kind: "file", path: "./var/run/secrets/istio/root-cert.pem" };

type Address = { readonly address: string; readonly plaintext: boolean };

const DEFAULT_SERVER: Address = { address: "istiod.istio-system.svc:15012", plaintext: false };

const serverAddress: Parser<Address> = (value) => {
  const m = /^(?:(https?):\/\/)?(.+?)\/?$/.exec(value);
  const parsed = parseHostPort(m?.[2] ?? "");
  return parsed.ok ? ok({ address: m?.[2] ?? "", plaintext: m?.[1] === "http" }) : err("want https://host:port");
};

const rootsOf: Parser<Roots> = (value) => {
  if (value === "SYSTEM") return ok({ kind: "system" });
  return ok(value.includes("-----BEGIN") ? { kind: "pem", pem: value } : { kind: "file", path: value });
};

/** The server that `<which>_ADDRESS`, `<which>_ROOT_CA` and `ALT_<which>_HOSTNAME` name; `roots` are trusted where the second is not set. */
export const controlPlaneServer = (env: Env, which: "XDS" | "CA", roots: Result<Roots> = ok(DEFAULT_ROOTS)): Result<ServerConfig> =>
  mapOk(
    allOf({
      at: env.optional(`${which}_ADDRESS`, serverAddress, DEFAULT_SERVER),
      told: env.optional(`${which}_ROOT_CA`, rootsOf, undefined),
      roots,
      serverName: env.optional(`ALT_${which}_HOSTNAME`, text, undefined),
    }),
    (v) => ({
      address: v.at.address,
      roots: v.at.plaintext ? { kind: "plaintext" } : (v.told ?? v.roots),
      serverName: v.serverName,
    }),
  );

/** Time to let connections end, in ms: the pod's grace period less a margin for closing; 5 s where it is not told. */
export const drainWithin = (graceSeconds: number | undefined): number =>
  graceSeconds === undefined ? 5_000 : Math.max(1, graceSeconds > 10 ? graceSeconds - 5 : graceSeconds - 1) * 1_000;

/** The TLS that is spoken by all that this process opens or takes. */
export const tlsOf = (env: Env): Result<TlsPolicy> => {
  const wanted = allOf({
    compliance: env.optional("COMPLIANCE_POLICY", parseCompliance, "none" as const),
    tls12: env.optional("TLS12_ENABLED", bool, false),
  });
  return wanted.ok ? tlsPolicy(wanted.value) : wanted;
};

/** Every variable at once; `levelVariable` is the one that holds the log levels. */
export const proxyEnvironment = (env: Env, levelVariable: "RUST_LOG" | "LOG_LEVEL"): Result<ProxyEnvironment> =>
  mapOk(
    allOf({
      clusterId: env.optional("CLUSTER_ID", text, "Kubernetes"),
      metaClusterId: env.optional("ISTIO_META_CLUSTER_ID", text, undefined),
      clusterDomain: env.optional("CLUSTER_DOMAIN", text, "cluster.local"),
      trustDomain: env.optional("TRUST_DOMAIN", trustDomain, "cluster.local"),
      node: env.optional("NODE_NAME", text, ""),
      secretTtlMs: env.optional("SECRET_TTL", durationMs, 86_400_000),
      admin: env.optional("ADMIN_PORT", port, 15000),
      stats: env.optional("STATS_PORT", port, 15020),
      readiness: env.optional("READINESS_PORT", port, 15021),
      format: env.optional("LOG_FORMAT", oneOf("json", "plain", "text"), "text"),
      level: env.optional(levelVariable, levelsText, "info"),
      version: env.optional("AMBIT_VERSION", text, "dev"),
      tls: tlsOf(env),
      trustDomainAliases: env.optional("TRUST_DOMAIN_ALIASES", trustDomains, []),
      crlPath: env.optional("CRL_PATH", text, undefined),
    }),
    (v) => ({
      clusterId: v.metaClusterId ?? v.clusterId,
      clusterDomain: v.clusterDomain,
      trustDomain: v.trustDomain,
      node: v.node,
      secretTtlMs: v.secretTtlMs,
      ports: { admin: v.admin, stats: v.stats, readiness: v.readiness },
      log: { format: v.format === "json" ? "json" : "text", level: v.level },
      metadata: Object.fromEntries(env.prefixed("ISTIO_META_")),
      version: v.version,
      tls: v.tls,
      trustDomainAliases: v.trustDomainAliases,
      crlPath: v.crlPath,
    }),
  );
