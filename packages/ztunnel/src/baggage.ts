// How does a workload describe itself to its peer, and how is a peer taken at its word? (ambient-l4 section 1.7)

import { type Baggage, formatBaggage } from "@ambit/shared/hbone/headers.ts";
import type { Workload } from "@ambit/shared/state/types.ts";

const baggageOf = (w: Workload): Baggage => ({
  clusterId: w.clusterId,
  namespace: w.namespace,
  workloadType: w.workloadType,
  workloadName: w.workloadName,
  canonicalName: w.canonicalName,
  canonicalRevision: w.canonicalRevision,
  region: w.locality.region,
  zone: w.locality.zone,
});

const texts = new WeakMap<Workload, string>();

/** The `baggage` of a workload. Written once for each: a change makes another one. */
export const baggageText = (w: Workload): string => {
  const known = texts.get(w);
  if (known !== undefined) return known;
  const text = formatBaggage(baggageOf(w));
  texts.set(w, text);
  return text;
};

const NOBODY: Workload = {
  uid: "",
  name: "",
  namespace: "",
  addresses: [],
  network: "",
  tunnelProtocol: "HBONE",
  trustDomain: "",
  serviceAccount: "",
  waypoint: undefined,
  node: "",
  canonicalName: "",
  canonicalRevision: "",
  workloadType: "POD",
  workloadName: "",
  nativeTunnel: false,
  authorizationPolicies: [],
  status: "HEALTHY",
  clusterId: "",
  networkGateway: undefined,
  hostname: "",
  services: {},
  applicationTunnel: undefined,
  locality: { region: "", zone: "", subzone: "" },
  networkMode: "STANDARD",
  capacity: 1,
};

/**
 * The peer in its own words, over what is known of it: for telemetry where its address cannot be looked up, because it is of
 * another network. The namespace is the one that its certificate proves, whatever it says.
 */
export const describedBy = (said: Partial<Baggage>, known: Partial<Workload>): Workload => ({
  ...NOBODY,
  ...known,
  clusterId: said.clusterId ?? known.clusterId ?? "",
  namespace: known.namespace ?? said.namespace ?? "",
  workloadType: said.workloadType ?? known.workloadType ?? "POD",
  workloadName: said.workloadName ?? known.workloadName ?? "",
  name: said.workloadName ?? known.name ?? "",
  canonicalName: said.canonicalName ?? known.canonicalName ?? "",
  canonicalRevision: said.canonicalRevision ?? known.canonicalRevision ?? "",
  locality: { region: said.region ?? "", zone: said.zone ?? "", subzone: "" },
});
