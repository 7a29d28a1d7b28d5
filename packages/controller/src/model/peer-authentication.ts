// What do PeerAuthentications mean for a ztunnel, which only knows policies? (ambient-l4 section 2)

import { parsePort } from "@ambit/shared/addr/socket.ts";
import { EMPTY_MATCH, type Match, type Policy, policyKey, type Rule } from "@ambit/shared/authz/types.ts";
import type { PeerAuthentication } from "@ambit/shared/kube/objects/istio.ts";
import type { Labels } from "@ambit/shared/kube/objects/meta.ts";
import { matchesLabels } from "@ambit/shared/kube/selector.ts";

/** DISABLE means PERMISSIVE to a ztunnel: it never turns TLS off on 15008. */
export type Mode = "STRICT" | "PERMISSIVE" | "UNSET";

export type PeerAuth = {
  readonly namespace: string;
  readonly name: string;
  /** RFC 3339; the oldest of a level wins. */
  readonly created: string;
  readonly selector: Labels | undefined;
  readonly mode: Mode;
  readonly ports: readonly { readonly port: number; readonly mode: Mode }[];
};

const STATIC_STRICT = "istio_converted_static_strict";

/** A word nobody knows is taken for STRICT: the safe one. */
const modeOf = (m: { readonly mode?: string } | undefined): Mode => {
  switch (m?.mode ?? "UNSET") {
    case "UNSET":
      return "UNSET";
    case "PERMISSIVE":
    case "DISABLE":
      return "PERMISSIVE";
    default:
      return "STRICT";
  }
};

export const toPeerAuth = (pa: PeerAuthentication): PeerAuth => {
  const labels = pa.spec?.selector?.matchLabels;
  return {
    namespace: pa.metadata.namespace ?? "",
    name: pa.metadata.name,
    created: pa.metadata.creationTimestamp ?? "",
    selector: labels !== undefined && Object.keys(labels).length > 0 ? labels : undefined,
    mode: modeOf(pa.spec?.mtls),
    ports: Object.entries(pa.spec?.portLevelMtls ?? {}).flatMap(([text, m]) => {
      const port = parsePort(text);
      return port.ok ? [{ port: port.value, mode: modeOf(m) }] : [];
    }),
  };
};

const oldest = (list: readonly PeerAuth[]): PeerAuth | undefined =>
  list.toSorted((a, b) => (a.created === b.created ? (a.name < b.name ? -1 : 1) : a.created < b.created ? -1 : 1))[0];

/** The policies that matter to one namespace: its own, and the mesh's (root namespace). */
export type PeerAuthLevels = { readonly root: readonly PeerAuth[]; readonly own: readonly PeerAuth[] };

/** What holds for workloads of the namespace that no selector names: its own setting, else the mesh's, else PERMISSIVE. */
const namespaceMode = (levels: PeerAuthLevels): Exclude<Mode, "UNSET"> => {
  for (const level of [levels.own, levels.root]) {
    const pa = oldest(level.filter((p) => p.selector === undefined));
    if (pa !== undefined && pa.mode !== "UNSET") return pa.mode;
  }
  return "PERMISSIVE";
};

const notAuthenticated: Match = { ...EMPTY_MATCH, notPrincipals: [{ kind: "presence" }] };

/** "No identity, no entry": named by every workload that is STRICT without exceptions. */
export const staticStrictPolicy = (rootNamespace: string): Policy => ({
  namespace: rootNamespace,
  name: STATIC_STRICT,
  scope: "WORKLOAD_SELECTOR",
  action: "DENY",
  dryRun: false,
  rules: [{ clauses: [{ matches: [notAuthenticated] }] }],
});

type Effect = { readonly kind: "open" } | { readonly kind: "strict" } | { readonly kind: "policy"; readonly policy: Policy };

/** What a selecting PeerAuthentication does under its parent's mode. Port-level settings are not honoured in the root namespace. */
const effectOf = (pa: PeerAuth, parent: Exclude<Mode, "UNSET">, rootNamespace: string): Effect => {
  const mode = pa.mode === "UNSET" ? parent : pa.mode;
  const ports = pa.namespace === rootNamespace ? [] : pa.ports.filter((p) => p.mode !== "UNSET" && p.mode !== mode);
  if (ports.length === 0) return { kind: mode === "STRICT" ? "strict" : "open" };
  const sorted = ports.map((p) => p.port).toSorted((a, b) => a - b);
  const rules: readonly Rule[] =
    mode === "STRICT"
      ? [
          {
            clauses: [{ matches: [notAuthenticated] }, ...sorted.map((p) => ({ matches: [{ ...EMPTY_MATCH, notDestinationPorts: [p] }] }))],
          },
        ]
      : sorted.map((p) => ({ clauses: [{ matches: [{ ...notAuthenticated, destinationPorts: [p] }] }] }));
  return {
    kind: "policy",
    policy: {
      namespace: pa.namespace,
      name: `converted_peer_authentication_${pa.name}`,
      scope: "WORKLOAD_SELECTOR",
      action: "DENY",
      dryRun: false,
      rules,
    },
  };
};

/** Names of the converted policies for a pod of these labels: at most one. */
export const peerPolicyNames = (labels: Labels | undefined, levels: PeerAuthLevels, rootNamespace: string): readonly string[] => {
  const parent = namespaceMode(levels);
  const selecting = oldest(levels.own.filter((p) => p.selector !== undefined && matchesLabels(p.selector, labels)));
  const effect: Effect =
    selecting === undefined ? { kind: parent === "STRICT" ? "strict" : "open" } : effectOf(selecting, parent, rootNamespace);
  switch (effect.kind) {
    case "open":
      return [];
    case "strict":
      return [`${rootNamespace}/${STATIC_STRICT}`];
    case "policy":
      return [policyKey(effect.policy)];
  }
};

/** All policies that PeerAuthentications of one namespace become. */
export const convertedPolicies = (levels: PeerAuthLevels, rootNamespace: string): readonly Policy[] => {
  const parent = namespaceMode(levels);
  return levels.own.flatMap((pa) => {
    const effect: Effect = pa.selector === undefined ? { kind: "open" } : effectOf(pa, parent, rootNamespace);
    return effect.kind === "policy" ? [effect.policy] : [];
  });
};
