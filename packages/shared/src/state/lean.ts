// How little does a known workload weigh? (equal strings and equal parts are held once, and every record has one shape)

import type { Ip } from "../addr/ip.ts";
import type { GatewayAddress, Locality, Port, Workload } from "./types.ts";

/** More different values than this are not collected: the table is emptied, and what is in use lives on in the records. */
const MOST = 32_768;

/** Equal keys give the value that was made first. */
const shared = <V>() => {
  const held = new Map<string, V>();
  return (key: string, make: () => V): V => {
    const found = held.get(key);
    if (found !== undefined) return found;
    if (held.size >= MOST) held.clear();
    const made = make();
    held.set(key, made);
    return made;
  };
};

const portsKey = (ports: readonly Port[]): string => ports.map((p) => `${p.servicePort}:${p.targetPort}:${p.appProtocol}`).join();

const gatewayKey = ({ destination: d, hboneMtlsPort }: GatewayAddress): string =>
  d.kind === "hostname" ? `${hboneMtlsPort} h ${d.namespace}/${d.hostname}` : `${hboneMtlsPort} a ${d.ip} ${d.network}`;

const NO_POLICIES: readonly string[] = Object.freeze([]);
const NO_SERVICES: Workload["services"] = Object.freeze({});

/** Whoever gets thousands of workloads passes each through one of these; the records that come out are equal to those that went in. */
export const createLeanRecords = (): { workload(w: Workload): Workload } => {
  const strings = shared<string>();
  const portLists = shared<readonly Port[]>();
  const serviceSets = shared<Workload["services"]>();
  const policySets = shared<readonly string[]>();
  const localities = shared<Locality>();
  const gateways = shared<GatewayAddress>();
  const one = (s: string): string => strings(s, () => s);

  const ports = (list: readonly Port[]): readonly Port[] => portLists(portsKey(list), () => list);
  const services = (of: Workload["services"]): Workload["services"] => {
    const entries = Object.entries(of);
    if (entries.length === 0) return NO_SERVICES;
    return serviceSets(entries.map(([key, list]) => `${key} ${portsKey(list)}`).join("\n"), () =>
      Object.fromEntries(entries.map(([key, list]) => [one(key), ports(list)])),
    );
  };
  const policies = (keys: readonly string[]): readonly string[] =>
    keys.length === 0 ? NO_POLICIES : policySets(keys.join("\n"), () => keys.map(one));
  const locality = (l: Locality): Locality => localities(`${l.region}\n${l.zone}\n${l.subzone}`, () => l);
  const gateway = (g: GatewayAddress | undefined): GatewayAddress | undefined =>
    g === undefined ? undefined : gateways(gatewayKey(g), () => g);

  return {
    // One literal for all: the same hidden class, no room kept for fields to come.
    workload: (w) => ({
      uid: w.uid,
      name: w.name === w.workloadName ? one(w.name) : w.name,
      namespace: one(w.namespace),
      addresses: w.addresses.length === 1 ? [w.addresses[0] as Ip] : [...w.addresses],
      network: one(w.network),
      tunnelProtocol: w.tunnelProtocol,
      trustDomain: one(w.trustDomain),
      serviceAccount: one(w.serviceAccount),
      waypoint: gateway(w.waypoint),
      node: one(w.node),
      canonicalName: one(w.canonicalName),
      canonicalRevision: one(w.canonicalRevision),
      workloadType: w.workloadType,
      workloadName: one(w.workloadName),
      nativeTunnel: w.nativeTunnel,
      authorizationPolicies: policies(w.authorizationPolicies),
      status: w.status,
      clusterId: one(w.clusterId),
      networkGateway: gateway(w.networkGateway),
      hostname: one(w.hostname),
      services: services(w.services),
      applicationTunnel: w.applicationTunnel,
      locality: locality(w.locality),
      networkMode: w.networkMode,
      capacity: w.capacity,
    }),
  };
};
