// What does the node agent take from its environment?

import { bool, durationMs, type Env, integer, oneOf, port, text } from "@ambit/shared/runtime/env.ts";
import { allOf, ok, type Result } from "@ambit/shared/runtime/result.ts";
import { levelsText } from "@ambit/shared/telemetry/log-levels.ts";

export type CniConfig = {
  readonly nodeName: string;
  readonly podNamespace: string;
  /** The DaemonSet whose absence at shutdown means that the node leaves the mesh. */
  readonly daemonSet: string;
  readonly zdsPath: string;
  /** Where the host's /proc is seen. */
  readonly procRoot: string;
  readonly excludeNamespaces: readonly string[];
  /** DNS of captured pods goes through ztunnel, unless a pod says otherwise. */
  readonly captureDns: boolean;
  /** Packets of this user in the node's namespace count as the kubelet's probes. */
  readonly kubeletUid: number;
  readonly adminPort: number;
  readonly healthPort: number;
  readonly metricsPort: number;
  readonly logFormat: "text" | "json";
  readonly logLevel: string;
  /** How long the first list of pods may take. */
  readonly syncMs: number;
};

const list = (s: string): Result<readonly string[]> =>
  ok(
    s
      .split(",")
      .map((n) => n.trim())
      .filter((n) => n !== ""),
  );

/** Every variable at once; the error names each one that is wrong. Names as istio-cni's where it has them. */
export const parseConfig = (env: Env): Result<CniConfig> =>
  allOf({
    nodeName: env.required("NODE_NAME", text),
    podNamespace: env.optional("POD_NAMESPACE", text, "istio-system"),
    daemonSet: env.optional("DAEMONSET_NAME", text, "istio-cni-node"),
    zdsPath: env.optional("ZTUNNEL_UDS_ADDRESS", text, "/var/run/ztunnel/ztunnel.sock"),
    procRoot: env.optional("HOST_PROC", text, "/host/proc"),
    excludeNamespaces: env.optional("EXCLUDE_NAMESPACES", list, ["kube-system"]),
    captureDns: env.optional("AMBIENT_DNS_CAPTURE", bool, true),
    kubeletUid: env.optional("KUBELET_UID", integer(0, 2 ** 32 - 2), 0),
    adminPort: env.optional("ADMIN_PORT", port, 15000),
    healthPort: env.optional("HEALTH_PORT", port, 8000),
    metricsPort: env.optional("MONITORING_PORT", port, 15014),
    logFormat: env.optional("LOG_FORMAT", oneOf("text", "json"), "text" as const),
    logLevel: env.optional("LOG_LEVEL", levelsText, "info"),
    syncMs: env.optional("SYNC_TIMEOUT", durationMs, 60_000),
  });
