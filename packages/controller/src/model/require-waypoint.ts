// Must a service be reached through its waypoint, also when there is none, and what of clients that come past it in plaintext?
// (field-notes section 4 item 4: a waypoint that is missing must not mean that its policies are not applied)

import type { Labels } from "@ambit/shared/kube/objects/meta.ts";
import type { GatewayAddress, WaypointRules } from "@ambit/shared/state/types.ts";
import { HBONE_PORT, LABEL, WAYPOINT_CLASS } from "./labels.ts";
import type { NamespaceInfo } from "./namespaces.ts";
import { type MeshSettings, serviceHostname } from "./settings.ts";
import { type Binding, waypointKey } from "./waypoints.ts";

/** Read as labels and as annotations, of the Service and then of its namespace. */
export const REQUIRE_WAYPOINT = "ambit.dev/require-waypoint";
export const UNCAPTURED = "ambit.dev/uncaptured";

const UNCAPTURED_WORDS = ["allow", "refuse", "hairpin"] as const satisfies readonly WaypointRules["uncaptured"][];

export type RequirementQuestion = {
  readonly service: { readonly namespace: string; readonly name: string; readonly labels: Labels; readonly annotations: Labels };
  readonly namespace: NamespaceInfo | undefined;
  readonly binding: Binding;
  /** Names of the policies attached to a target key. */
  readonly attached: (target: string) => readonly string[];
};

export type Requirement = {
  /** Why the waypoint is a must; undefined: it is not. */
  readonly because: string | undefined;
  readonly rules: WaypointRules | undefined;
  /** What is told about values that nobody understands. */
  readonly problems: readonly string[];
};

/** The object's own word, else its namespace's; labels before annotations, "" says nothing. */
const said = (key: string, { service, namespace }: RequirementQuestion): string | undefined =>
  [service.labels[key], service.annotations[key], namespace?.labels[key], namespace?.annotations[key]].find(
    (v) => v !== undefined && v !== "",
  );

/** The waypoint that is asked for, whether it can be had or not. */
const askedFor = (b: Binding): string | undefined => {
  switch (b.kind) {
    case "bound":
      return waypointKey(b.waypoint);
    case "refused":
      return b.waypoint;
    case "none":
      return undefined;
  }
};

const whyMissing = (b: Binding): string => {
  if (b.kind === "bound") return "";
  return b.kind === "refused" ? b.message : `no waypoint is asked for: label it (or its namespace) with ${LABEL.useWaypoint}`;
};

/** Policies that nothing but a waypoint enforces make it a must, unless somebody says that it is none. */
const reasonOf = (q: RequirementQuestion, word: string | undefined): string | undefined => {
  if (q.binding.kind === "none" && q.binding.why === "is-waypoint") return undefined;
  if (word === "false") return undefined;
  // A word that is not understood was meant to say something: the stricter reading is the safe one.
  if (word !== undefined) return `${REQUIRE_WAYPOINT} is ${JSON.stringify(word)}`;
  const waypoint = askedFor(q.binding);
  if (waypoint === undefined) return undefined;
  const targets = [`Service/${q.service.namespace}/${q.service.name}`, `Gateway/${waypoint}`, `GatewayClass/${WAYPOINT_CLASS}`];
  const policy = targets.flatMap(q.attached)[0];
  return policy === undefined ? undefined : `${policy} is attached to it`;
};

export const waypointRequirement = (q: RequirementQuestion): Requirement => {
  const word = said(REQUIRE_WAYPOINT, q);
  const because = reasonOf(q, word);
  const wanted = said(UNCAPTURED, q);
  const required = because !== undefined;
  const missing = required ? whyMissing(q.binding) : "";
  const uncaptured = UNCAPTURED_WORDS.find((w) => w === wanted) ?? (wanted !== undefined ? "refuse" : required ? "hairpin" : "allow");
  const hasWaypoint = required || q.binding.kind === "bound";
  const rules = hasWaypoint && (required || uncaptured !== "allow") ? ({ required, missing, uncaptured } as const) : undefined;
  return {
    because,
    rules,
    problems: [
      ...(word === undefined || word === "true" || word === "false"
        ? []
        : [`${REQUIRE_WAYPOINT} is ${JSON.stringify(word)}: want "true" or "false", taken for "true"`]),
      ...(wanted === undefined || UNCAPTURED_WORDS.some((w) => w === wanted)
        ? []
        : [`${UNCAPTURED} is ${JSON.stringify(wanted)}: want "hairpin", "refuse" or "allow", taken for "refuse"`]),
    ],
  };
};

/**
 * The waypoint that a service is told to have although it cannot be had: a name that leads nowhere, so that every ztunnel, also one
 * that knows nothing of Ambit's rules, refuses instead of passing it by.
 */
export const missingWaypoint = (binding: Binding, namespace: string, settings: Pick<MeshSettings, "clusterDomain">): GatewayAddress => {
  const key = askedFor(binding);
  const [ns = "", name = ""] = key?.split("/") ?? [];
  const hostname = key === undefined ? "waypoint-required.invalid" : serviceHostname({ namespace: ns, name }, settings);
  return { destination: { kind: "hostname", namespace: key === undefined ? namespace : ns, hostname }, hboneMtlsPort: HBONE_PORT };
};
