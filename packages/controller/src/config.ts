// What is the controller told from outside?

import { type HostPort, parseHostPort } from "@ambit/shared/addr/socket.ts";
import { trustDomain, trustDomains } from "@ambit/shared/identity/aliases.ts";
import { tlsOf } from "@ambit/shared/proxy/environment.ts";
import { bool, durationMs, type Env, integer, oneOf, port, text } from "@ambit/shared/runtime/env.ts";
import { allOf, err, ok, type Result } from "@ambit/shared/runtime/result.ts";
import { levelsText } from "@ambit/shared/telemetry/log-levels.ts";
import type { TlsPolicy } from "@ambit/shared/tls/policy.ts";
import type { RotationSettings } from "./ca/rotation.ts";
import type { MeshSettings } from "./model/settings.ts";

export type ControllerConfig = {
  readonly mesh: MeshSettings;
  readonly podName: string;
  readonly kubeconfig: string | undefined;
  /** The Service under which proxies reach us, in the root namespace. */
  readonly serviceName: string;
  readonly bindAddress: string;
  readonly grpcPort: number;
  readonly monitoringPort: number;
  readonly readyPort: number;
  readonly audiences: readonly string[];
  readonly trustedNodeAccounts: readonly string[];
  readonly certificates: { readonly defaultMs: number; readonly maxMs: number };
  /** How long our own root lives, and how it is replaced. */
  readonly rootRotation: RotationSettings & { readonly rootLifetimeMs: number };
  /** COMPLIANCE_POLICY and TLS12_ENABLED, for what we serve and for the waypoints that we deploy. */
  readonly tls: TlsPolicy;
  readonly waypoint: { readonly image: string; readonly imagePullPolicy: string };
  /** What waypoints are told to dial. */
  readonly discoveryAddress: HostPort;
  readonly writeStatus: boolean;
  readonly log: { readonly format: "text" | "json"; readonly level: string };
};

const words = (s: string): Result<readonly string[]> => {
  const list = s.split(",").map((w) => w.trim());
  return list.includes("") ? err("want words separated by commas") : ok(list);
};
const DAY_MS = 24 * 3_600_000;
const lifetime = (s: string): Result<number> => {
  const ms = durationMs(s);
  return ms.ok && (ms.value < 60_000 || ms.value > 3_650 * DAY_MS) ? err("want at least 1m and at most ten years") : ms;
};

/** All of it, or every mistake in one text. */
export const parseConfig = (env: Env): Result<ControllerConfig> => {
  const parsed = allOf({
    rootNamespace: env.optional("POD_NAMESPACE", text, "istio-system"),
    podName: env.optional("POD_NAME", text, "istiod"),
    trustDomain: env.optional("TRUST_DOMAIN", trustDomain, "cluster.local"),
    trustDomainAliases: env.optional("TRUST_DOMAIN_ALIASES", trustDomains, []),
    clusterDomain: env.optional("CLUSTER_DOMAIN", text, "cluster.local"),
    clusterId: env.optional("CLUSTER_ID", text, "Kubernetes"),
    network: env.optional("NETWORK", text, ""),
    revision: env.optional("REVISION", text, "default"),
    kubeconfig: env.optional("KUBECONFIG", text, undefined),
    serviceName: env.optional("SERVICE_NAME", text, "istiod"),
    bindAddress: env.optional("BIND_ADDRESS", text, "[::]"),
    grpcPort: env.optional("GRPC_PORT", port, 15012),
    monitoringPort: env.optional("MONITORING_PORT", port, 15014),
    readyPort: env.optional("READY_PORT", port, 8080),
    audiences: env.optional("TOKEN_AUDIENCES", words, ["istio-ca"]),
    trustedNodeAccounts: env.optional("CA_TRUSTED_NODE_ACCOUNTS", words, undefined),
    defaultMs: env.optional("DEFAULT_WORKLOAD_CERT_TTL", lifetime, DAY_MS),
    maxMs: env.optional("MAX_WORKLOAD_CERT_TTL", lifetime, 90 * DAY_MS),
    rootLifetimeMs: env.optional("CITADEL_SELF_SIGNED_CA_CERT_TTL", lifetime, 3_650 * DAY_MS),
    gracePercent: env.optional("CITADEL_SELF_SIGNED_ROOT_CERT_GRACE_PERIOD_PERCENTILE", integer(0, 99), 20),
    introduceMs: env.optional("ROOT_ROTATION_INTRODUCE", durationMs, undefined),
    retireMs: env.optional("ROOT_ROTATION_RETIRE", durationMs, undefined),
    tls: tlsOf(env),
    image: env.optional("WAYPOINT_IMAGE", text, "ambit/waypoint:dev"),
    imagePullPolicy: env.optional("WAYPOINT_IMAGE_PULL_POLICY", oneOf("Always", "IfNotPresent", "Never"), "IfNotPresent" as const),
    discoveryAddress: env.optional("DISCOVERY_ADDRESS", parseHostPort, undefined),
    writeStatus: env.optional("AMBIENT_ENABLE_STATUS", bool, true),
    format: env.optional("LOG_FORMAT", oneOf("text", "json"), "text" as const),
    level: env.optional("LOG_LEVEL", levelsText, "info"),
  });
  if (!parsed.ok) return parsed;
  const v = parsed.value;
  if (v.defaultMs > v.maxMs) return err("DEFAULT_WORKLOAD_CERT_TTL is longer than MAX_WORKLOAD_CERT_TTL");
  return ok({
    mesh: {
      rootNamespace: v.rootNamespace,
      trustDomain: v.trustDomain,
      trustDomainAliases: v.trustDomainAliases,
      clusterDomain: v.clusterDomain,
      clusterId: v.clusterId,
      network: v.network,
      revision: v.revision,
    },
    podName: v.podName,
    kubeconfig: v.kubeconfig,
    serviceName: v.serviceName,
    bindAddress: v.bindAddress,
    grpcPort: v.grpcPort,
    monitoringPort: v.monitoringPort,
    readyPort: v.readyPort,
    audiences: v.audiences,
    trustedNodeAccounts: v.trustedNodeAccounts ?? [`${v.rootNamespace}/ztunnel`],
    certificates: { defaultMs: v.defaultMs, maxMs: v.maxMs },
    rootRotation: {
      rootLifetimeMs: v.rootLifetimeMs,
      gracePercent: v.gracePercent,
      // Long enough for proxies that take roots only with a renewed certificate, and for the longest certificate that may be out.
      introduceMs: v.introduceMs ?? v.defaultMs,
      retireMs: v.retireMs ?? v.maxMs,
    },
    tls: v.tls,
    waypoint: { image: v.image, imagePullPolicy: v.imagePullPolicy },
    discoveryAddress: v.discoveryAddress ?? { host: `${v.serviceName}.${v.rootNamespace}.svc`, port: 15012 },
    writeStatus: v.writeStatus,
    log: { format: v.format, level: v.level },
  });
};
