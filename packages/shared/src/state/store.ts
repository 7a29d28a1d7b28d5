// How is the mesh's state held: one writer, records replaced and never edited, a read-only view for decisions?

import { type Cidr, cidrContains } from "../addr/cidr.ts";
import type { Ip } from "../addr/ip.ts";
import { addressKey } from "../addr/socket.ts";
import { type Policy, type PolicyReach, policyKey } from "../authz/types.ts";
import { type Endpoint, type Service, serviceKey, type Workload } from "./types.ts";
import type { LocalWorkload, MeshView } from "./view.ts";

export type StateUpdate =
  | { readonly kind: "workload"; readonly workload: Workload }
  | { readonly kind: "service"; readonly service: Service }
  | { readonly kind: "policy"; readonly policy: Policy }
  /** An Address resource name: a workload uid or a service's "ns/hostname". */
  | { readonly kind: "remove-address"; readonly name: string }
  | { readonly kind: "remove-policy"; readonly key: string }
  /** It came but could not be read: without an earlier version it denies where it would have held, until it changes or goes. */
  | { readonly kind: "refuse-policy"; readonly key: string; readonly reach: PolicyReach };

export type MeshStore = {
  readonly view: MeshView;
  /** Applies the whole batch, services before workloads; readers never run in between. */
  commit(batch: readonly StateUpdate[]): void;
  workloads(): IterableIterator<Workload>;
  services(): IterableIterator<Service>;
  policies(): IterableIterator<Policy>;
};

/** A map of small lists that drops a list when its last member goes. */
const multiMap = <V>() => {
  const lists = new Map<string, V[]>();
  return {
    get: (key: string): readonly V[] => lists.get(key) ?? [],
    add: (key: string, value: V): void => void lists.set(key, [...(lists.get(key) ?? []), value]),
    remove: (key: string, value: V): void => {
      const rest = (lists.get(key) ?? []).filter((v) => v !== value);
      if (rest.length === 0) lists.delete(key);
      else lists.set(key, rest);
    },
  };
};

const isPod = (w: Workload): boolean => /^[^/]*\/\/Pod\//.test(w.uid);
/** Of several workloads with one address: Pod with HBONE > Pod > HBONE > others (ambient-l4 section 1.6). */
const addressRank = (w: Workload): number => (isPod(w) ? 2 : 0) + (w.tunnelProtocol === "HBONE" ? 1 : 0);

const best = <T>(items: readonly T[], score: (item: T) => readonly number[]): T | undefined => {
  let chosen: { item: T; score: readonly number[] } | undefined;
  for (const item of items) {
    const s = score(item);
    const at = chosen?.score.findIndex((v, i) => v !== s[i]) ?? -1;
    if (chosen === undefined || (at >= 0 && (s[at] ?? 0) > (chosen.score[at] ?? 0))) chosen = { item, score: s };
  }
  return chosen?.item;
};

type Block = { readonly network: string; readonly cidr: Cidr; readonly service: Service };

export const createMeshStore = (): MeshStore => {
  const workloads = new Map<string, Workload>();
  const services = new Map<string, Service>();
  const policies = new Map<string, Policy>();
  const refused = new Map<string, PolicyReach>();
  const byAddress = multiMap<Workload>();
  const byName = multiMap<Workload>();
  const workloadsByHostname = multiMap<Workload>();
  const byVip = multiMap<Service>();
  const byHostname = multiMap<Service>();
  const members = multiMap<Workload>();
  const unnamedPolicies = multiMap<Policy>();
  let blocks: Block[] = [];

  const indexWorkload = (w: Workload, op: "add" | "remove"): void => {
    if (w.networkMode === "STANDARD") for (const ip of w.addresses) byAddress[op](addressKey(w.network, ip), w);
    byName[op](`${w.namespace}/${w.name}`, w);
    if (w.hostname !== "") workloadsByHostname[op](w.hostname, w);
    for (const key of Object.keys(w.services)) members[op](key, w);
  };
  const indexService = (s: Service, op: "add" | "remove"): void => {
    for (const a of s.addresses) byVip[op](addressKey(a.network, a.ip), s);
    byHostname[op](s.hostname, s);
    if (s.cidrs.length === 0) return; // almost all: then no look through everybody's blocks
    if (op === "remove") blocks = blocks.filter((b) => b.service !== s);
    else blocks.push(...s.cidrs.map((c) => ({ ...c, service: s })));
  };
  const indexPolicy = (p: Policy, op: "add" | "remove"): void => {
    if (p.scope === "GLOBAL") unnamedPolicies[op]("", p);
    if (p.scope === "NAMESPACE") unnamedPolicies[op](p.namespace, p);
  };
  const replace = <T>(map: Map<string, T>, key: string, next: T | undefined, index: (value: T, op: "add" | "remove") => void): void => {
    const old = map.get(key);
    if (old !== undefined) index(old, "remove");
    if (next === undefined) map.delete(key);
    else {
      map.set(key, next);
      index(next, "add");
    }
  };

  const apply = (u: StateUpdate): void => {
    switch (u.kind) {
      case "service":
        replace(services, serviceKey(u.service), u.service, indexService);
        break;
      case "workload":
        replace(workloads, u.workload.uid, u.workload, indexWorkload);
        break;
      case "policy":
        refused.delete(policyKey(u.policy));
        replace(policies, policyKey(u.policy), u.policy, indexPolicy);
        break;
      case "remove-policy":
        refused.delete(u.key);
        replace(policies, u.key, undefined, indexPolicy);
        break;
      case "refuse-policy":
        if (!policies.has(u.key)) refused.set(u.key, u.reach);
        break;
      case "remove-address":
        if (services.has(u.name)) replace(services, u.name, undefined, indexService);
        else replace(workloads, u.name, undefined, indexWorkload);
        break;
    }
  };

  const visible = (s: Service, clientNamespace: string): boolean => s.visibility === "PUBLIC" || s.namespace === clientNamespace;
  const preferred = (candidates: readonly Service[], clientNamespace: string): Service | undefined =>
    best(
      candidates.filter((s) => visible(s, clientNamespace)),
      (s) => [s.namespace === clientNamespace ? 1 : 0, s.canonical ? 1 : 0],
    );
  const byBlock = (network: string, ip: Ip, clientNamespace: string): Service | undefined =>
    best(
      blocks.filter((b) => b.network === network && cidrContains(b.cidr, ip) && visible(b.service, clientNamespace)),
      (b) => [b.service.namespace === clientNamespace ? 1 : 0, b.cidr.bits, b.service.canonical ? 1 : 0],
    )?.service;
  const endpointsOf = (key: string): readonly Endpoint[] => members.get(key).map((w) => ({ workload: w, ports: w.services[key] ?? [] }));

  const view: MeshView = {
    workload: (uid) => workloads.get(uid),
    workloadByAddress: (network, ip) => best(byAddress.get(addressKey(network, ip)), (w) => [addressRank(w)]),
    workloadByName: (who: LocalWorkload) =>
      best(
        byName.get(`${who.namespace}/${who.name}`).filter((w) => w.serviceAccount === who.serviceAccount),
        (w) => [addressRank(w)],
      ),
    service: (key) => services.get(key),
    serviceByAddress: (network, ip, ns) => preferred(byVip.get(addressKey(network, ip)), ns) ?? byBlock(network, ip, ns),
    serviceByHostname: (hostname, ns) => preferred(byHostname.get(hostname), ns),
    servicesByHostname: (hostname) => byHostname.get(hostname),
    workloadByHostname: (hostname) => workloadsByHostname.get(hostname)[0],
    endpoints: endpointsOf,
    policy: (key) => policies.get(key),
    policiesForNamespace: (ns) => [...unnamedPolicies.get(""), ...unnamedPolicies.get(ns)],
    refusedForNamespace: (ns) =>
      [...refused].flatMap(([key, reach]) =>
        reach.scope === "GLOBAL" || (reach.scope === "NAMESPACE" && reach.namespace === ns) ? [key] : [],
      ),
  };

  return {
    view,
    commit: (batch) => {
      // Services first: a workload that names a service of the same batch must find it.
      for (const u of batch) if (u.kind !== "workload") apply(u);
      for (const u of batch) if (u.kind === "workload") apply(u);
    },
    workloads: () => workloads.values(),
    services: () => services.values(),
    policies: () => policies.values(),
  };
};
