// Which endpoint of a service takes a connection? (locality rank and weights, ztunnel state.rs load_balance)

import type { Endpoint, LoadBalancing, LoadBalancingScope, Locality, Port, Service, Workload } from "./types.ts";

/** Where the caller is. */
export type Origin = { readonly network: string; readonly node: string; readonly clusterId: string; readonly locality: Locality };

export type Candidate = {
  readonly workload: Workload;
  readonly port: number;
  readonly rank: number;
  readonly excluded: Exclusion | undefined;
};
/** Why an endpoint may not be chosen. */
export type Exclusion =
  | "unhealthy"
  | "no-address"
  | "port-not-served"
  | "strict-locality"
  | "farther-locality"
  | "already-tried"
  | "ejected"
  | "zero-capacity";

export type Balanced =
  | { readonly kind: "endpoint"; readonly workload: Workload; readonly port: number; readonly candidates: readonly Candidate[] }
  | {
      readonly kind: "none";
      readonly why: "port-not-declared" | "no-endpoints" | "no-eligible-endpoint";
      readonly candidates: readonly Candidate[];
    };

/** What this proxy has seen of endpoints by itself; keys as of `endpointKey`. Only ever a local choice: the mesh is not told. */
export type Standing = {
  /** Connections to it that are open or being made. */
  load(key: string): number;
  /** It failed so often that it is left alone for a while. */
  ejected(key: string): boolean;
};

/** An endpoint by workload and port: what fails on one port may serve well on another. */
export const endpointKey = (workload: Pick<Workload, "uid">, port: number): string => `${workload.uid} ${port}`;

const scopeValue = (scope: LoadBalancingScope, at: Origin): string => {
  switch (scope) {
    case "REGION":
      return at.locality.region;
    case "ZONE":
      return at.locality.zone;
    case "SUBZONE":
      return at.locality.subzone;
    case "NODE":
      return at.node;
    case "CLUSTER":
      return at.clusterId;
    case "NETWORK":
      return at.network;
  }
};

/**
 * How many leading scopes are equal. With NETWORK listed first a mismatch there is skipped and a match counts
 * for all that follows, so that any endpoint of the same network is nearer than any remote one.
 */
export const localityRank = (preference: readonly LoadBalancingScope[], from: Origin, to: Origin): number => {
  const networkFirst = preference[0] === "NETWORK";
  let rank = 0;
  for (const [i, scope] of preference.entries()) {
    const same = scopeValue(scope, from) === scopeValue(scope, to);
    if (i === 0 && networkFirst) rank += same ? preference.length : 0;
    else if (same) rank += 1;
    else break;
  }
  return rank;
};

/** The port to dial: the endpoint's own mapping, else the service's; 0 when a named port is not mapped by the endpoint. */
export const targetPort = (service: Service, endpointPorts: readonly Port[], servicePort: number): number => {
  const own = endpointPorts.find((p) => p.servicePort === servicePort);
  if (own !== undefined && own.targetPort !== 0) return own.targetPort;
  return service.ports.find((p) => p.servicePort === servicePort)?.targetPort ?? 0;
};

export type BalanceRequest = {
  readonly service: Service;
  readonly endpoints: readonly Endpoint[];
  readonly servicePort: number;
  readonly from: Origin;
  /** standard: the service must declare the port. waypoint: an endpoint with an application tunnel needs no mapping of it. */
  readonly mode: "standard" | "waypoint";
  /** uids already tried for this connection. */
  readonly tried?: ReadonlySet<string>;
  /** Absent: endpoints are told apart by nothing but what the mesh says of them. */
  readonly standing?: Standing;
};

const portOf = (r: BalanceRequest, e: Endpoint): number => {
  const mapped = targetPort(r.service, e.ports, r.servicePort);
  return mapped === 0 && r.mode === "waypoint" && e.workload.applicationTunnel !== undefined ? r.servicePort : mapped;
};

const exclusion = (r: BalanceRequest, e: Endpoint, port: number, lb: LoadBalancing | undefined): Exclusion | undefined => {
  const w = e.workload;
  if (r.tried?.has(w.uid) === true) return "already-tried";
  if (w.status === "UNHEALTHY" && lb?.healthPolicy !== "ALLOW_ALL") return "unhealthy";
  if (w.addresses.length === 0 && w.hostname === "" && (w.network === r.from.network || w.networkGateway === undefined))
    return "no-address";
  if (port === 0) return "port-not-served";
  return w.capacity === 0 ? "zero-capacity" : undefined;
};

/** When more than half of those that could be chosen are ejected the fault may be ours: then nobody is left out (Envoy's panic). */
const withoutEjected = (all: readonly Candidate[], standing: Standing): readonly Candidate[] => {
  const eligible = all.filter((c) => c.excluded === undefined);
  const ejected = new Set(eligible.filter((c) => standing.ejected(endpointKey(c.workload, c.port))));
  if (ejected.size === 0 || ejected.size * 2 > eligible.length) return all;
  return all.map((c) => (ejected.has(c) ? { ...c, excluded: "ejected" as const } : c));
};

/** Every endpoint with its port, rank and, where it may not be chosen, why. */
export const candidates = (r: BalanceRequest): readonly Candidate[] => {
  const lb = r.service.loadBalancing;
  const preference = lb?.routingPreference ?? [];
  const served = r.endpoints.map((e): Candidate => {
    const port = portOf(r, e);
    return { workload: e.workload, port, rank: localityRank(preference, r.from, e.workload), excluded: exclusion(r, e, port, lb) };
  });
  const all = r.standing === undefined ? served : withoutEjected(served, r.standing);
  if (lb === undefined || (lb.mode !== "STRICT" && lb.mode !== "FAILOVER")) return all;
  const eligible = all.filter((c) => c.excluded === undefined);
  // With NETWORK first a full match counts the preference's length once for the network and once per further scope.
  const full = preference[0] === "NETWORK" ? 2 * preference.length - 1 : preference.length;
  const bar = lb.mode === "STRICT" ? full : Math.max(0, ...eligible.map((c) => c.rank));
  const why: Exclusion = lb.mode === "STRICT" ? "strict-locality" : "farther-locality";
  return all.map((c) => (c.excluded === undefined && c.rank < bar ? { ...c, excluded: why } : c));
};

/** One of them at random, weighted by capacity. */
const draw = (from: readonly Candidate[], random: () => number): Candidate | undefined => {
  let at = random() * from.reduce((sum, c) => sum + c.workload.capacity, 0);
  const chosen = from.find((c) => {
    at -= c.workload.capacity;
    return at < 0;
  });
  return chosen ?? from.at(-1);
};

/** Of two drawn by weight the one with the lower load for its capacity; the first one when that is equal. */
const lessLoaded = (eligible: readonly Candidate[], standing: Standing, random: () => number): Candidate | undefined => {
  const first = draw(eligible, random);
  const second = draw(
    eligible.filter((c) => c !== first),
    random,
  );
  if (first === undefined || second === undefined) return first;
  const load = (c: Candidate): number => standing.load(endpointKey(c.workload, c.port)) / c.workload.capacity;
  return load(second) < load(first) ? second : first;
};

/**
 * Picks among the eligible endpoints at random, weighted by capacity; with a standing the less loaded of two such picks (power of
 * two choices). `random` is uniform in [0, 1).
 */
export const balance = (r: BalanceRequest, random: () => number): Balanced => {
  if (r.mode === "standard" && !r.service.ports.some((p) => p.servicePort === r.servicePort))
    return { kind: "none", why: "port-not-declared", candidates: [] };
  const list = candidates(r);
  const eligible = list.filter((c) => c.excluded === undefined);
  if (eligible.length === 0) return { kind: "none", why: list.length === 0 ? "no-endpoints" : "no-eligible-endpoint", candidates: list };
  const pick = r.standing === undefined || eligible.length === 1 ? draw(eligible, random) : lessLoaded(eligible, r.standing, random);
  if (pick === undefined) return { kind: "none", why: "no-eligible-endpoint", candidates: list };
  return { kind: "endpoint", workload: pick.workload, port: pick.port, candidates: list };
};
