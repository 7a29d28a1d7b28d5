// How is the mesh's state held: one writer, records replaced and never edited, a read-only view for decisions?

import { type Cidr, cidrContains } from "../addr/cidr.ts";
import type { Ip } from "../addr/ip.ts";
import { type Policy, type PolicyReach, policyKey } from "../authz/types.ts";
import { createIndexMap, type IndexMap } from "./index-map.ts";
import { createLeanRecords } from "./lean.ts";
import { createMembers } from "./members.ts";
import { type Service, serviceKey, type Workload } from "./types.ts";
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
  /** Those that came and could not be read, without an earlier version: they deny where they would have held. */
  refused(): readonly { readonly key: string; readonly reach: PolicyReach }[];
};

/** "<cluster>//Pod/<namespace>/<name>" is a pod's uid. */
const isPod = (w: Workload): boolean => {
  const group = w.uid.indexOf("/") + 1;
  return group > 0 && w.uid.startsWith("/Pod/", group);
};
/** Of several workloads with one address: Pod with HBONE > Pod > HBONE > others (ambient-l4 section 1.6). */
const addressRank = (w: Workload): number => (isPod(w) ? 2 : 0) + (w.tunnelProtocol === "HBONE" ? 1 : 0);

const best = <T>(items: readonly T[], score: (item: T) => readonly number[]): T | undefined => {
  if (items.length < 2) return items[0];
  let chosen: { item: T; score: readonly number[] } | undefined;
  for (const item of items) {
    const s = score(item);
    const at = chosen?.score.findIndex((v, i) => v !== s[i]) ?? -1;
    if (chosen === undefined || (at >= 0 && (s[at] ?? 0) > (chosen.score[at] ?? 0))) chosen = { item, score: s };
  }
  return chosen?.item;
};

/** By network and address, without a string made of both for each. */
const createAddressIndex = <V extends object>() => {
  const networks = new Map<string, IndexMap<Ip, V>>();
  return {
    get: (network: string, ip: Ip): readonly V[] => networks.get(network)?.get(ip) ?? [],
    /** The index of the network, made when it is first asked for. Networks are few: an empty one is kept. */
    on: (network: string): IndexMap<Ip, V> => {
      const index = networks.get(network) ?? createIndexMap<Ip, V>();
      networks.set(network, index);
      return index;
    },
  };
};

type Block = { readonly network: string; readonly cidr: Cidr; readonly service: Service };

export const createMeshStore = (): MeshStore => {
  const workloads = new Map<string, Workload>();
  const services = new Map<string, Service>();
  const policies = new Map<string, Policy>();
  const refused = new Map<string, PolicyReach>();
  const lean = createLeanRecords();
  const byAddress = createAddressIndex<Workload>();
  /** By the name alone, whatever the namespace: the record has that string already. */
  const byName = createIndexMap<string, Workload>();
  const workloadsByHostname = createIndexMap<string, Workload>();
  const byVip = createAddressIndex<Service>();
  const byHostname = createIndexMap<string, Service>();
  const members = createMembers();
  const unnamedPolicies = createIndexMap<string, Policy>();
  let blocks: Block[] = [];

  const indexWorkload = (w: Workload, op: "add" | "remove"): void => {
    if (w.networkMode === "STANDARD") for (const ip of w.addresses) byAddress.on(w.network)[op](ip, w);
    byName[op](w.name, w);
    if (w.hostname !== "") workloadsByHostname[op](w.hostname, w);
    for (const [key, ports] of Object.entries(w.services)) op === "add" ? members.add(key, w, ports) : members.remove(key, w);
  };
  const indexService = (s: Service, op: "add" | "remove"): void => {
    for (const a of s.addresses) byVip.on(a.network)[op](a.ip, s);
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
        replace(workloads, u.workload.uid, lean.workload(u.workload), indexWorkload);
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

  const view: MeshView = {
    workload: (uid) => workloads.get(uid),
    workloadByAddress: (network, ip) => best(byAddress.get(network, ip), (w) => [addressRank(w)]),
    workloadByName: (who: LocalWorkload) =>
      best(
        byName.get(who.name).filter((w) => w.namespace === who.namespace && w.serviceAccount === who.serviceAccount),
        (w) => [addressRank(w)],
      ),
    service: (key) => services.get(key),
    serviceByAddress: (network, ip, ns) => preferred(byVip.get(network, ip), ns) ?? byBlock(network, ip, ns),
    serviceByHostname: (hostname, ns) => preferred(byHostname.get(hostname), ns),
    servicesByHostname: (hostname) => byHostname.get(hostname),
    workloadByHostname: (hostname) => workloadsByHostname.get(hostname)[0],
    endpoints: members.of,
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
    refused: () => [...refused].map(([key, reach]) => ({ key, reach })),
  };
};
