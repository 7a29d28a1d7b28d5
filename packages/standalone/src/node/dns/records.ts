// Which names does the cluster have, and what do they resolve to?

import { type Ip, ipBytes, parseIp } from "@ambit/shared/addr/ip.ts";
import type { Service } from "@ambit/shared/kube/objects/core.ts";
import type { EndpointSlice } from "@ambit/shared/kube/objects/discovery.ts";

export type SrvData = { readonly target: string; readonly port: number };
/** What one name holds; a name that only leads to others holds nothing and yet exists. */
export type NameRecords = {
  readonly a: string[];
  readonly aaaa: string[];
  readonly srv: SrvData[];
  cname: string | undefined;
  readonly ptr: string[];
};

export type Zone = { readonly domain: string; readonly names: ReadonlyMap<string, NameRecords> };

/** The reverse name of an address. */
export const reverseName = (ip: string): string | undefined => {
  const parsed = parseIp(ip);
  if (!parsed.ok) return undefined;
  const bytes = [...ipBytes(parsed.value as Ip)];
  return bytes.length === 4
    ? `${bytes.toReversed().join(".")}.in-addr.arpa`
    : `${bytes
        .flatMap((b) => [b >> 4, b & 15])
        .toReversed()
        .map((n) => n.toString(16))
        .join(".")}.ip6.arpa`;
};

const dashed = (ip: string): string => ip.replace(/[.:]/g, "-");

/** Kubernetes DNS specification 1.1: cluster IPs, headless endpoints by host name or dashed address, named ports, reverse names. */
export const buildZone = (services: readonly Service[], slices: readonly EndpointSlice[], domain: string): Zone => {
  const names = new Map<string, NameRecords>();
  const at = (name: string): NameRecords => {
    const key = name.toLowerCase();
    const held = names.get(key) ?? { a: [], aaaa: [], srv: [], cname: undefined, ptr: [] };
    names.set(key, held);
    // Every parent inside the domain exists too.
    const parent = key.slice(key.indexOf(".") + 1);
    if (key.endsWith(`.${domain}`) && !names.has(parent)) at(parent);
    return held;
  };
  const address = (name: string, ip: string): void => {
    const list = ip.includes(":") ? at(name).aaaa : at(name).a;
    if (!list.includes(ip)) list.push(ip);
  };
  const pointer = (ip: string, name: string): void => {
    const reverse = reverseName(ip);
    if (reverse !== undefined) at(reverse).ptr.push(name);
  };
  const srv = (
    base: string,
    port: { readonly name?: string | undefined; readonly protocol?: string | undefined; readonly port: number },
    target: string,
  ): void => {
    if (port.name === undefined || port.name === "") return;
    const list = at(`_${port.name}._${(port.protocol ?? "TCP").toLowerCase()}.${base}`).srv;
    if (!list.some((s) => s.target === target && s.port === port.port)) list.push({ target, port: port.port });
  };
  at(`svc.${domain}`);
  const byService = Map.groupBy(slices, (s) => `${s.metadata.namespace ?? ""}/${s.metadata.labels?.["kubernetes.io/service-name"] ?? ""}`);
  for (const service of services) {
    const base = `${service.metadata.name}.${service.metadata.namespace ?? "default"}.svc.${domain}`;
    const { spec } = service;
    if (spec.type === "ExternalName") {
      at(base).cname = (spec.externalName ?? "").replace(/\.$/, "");
      continue;
    }
    at(base);
    const ips = new Set([...(spec.clusterIPs ?? []), ...(spec.clusterIP === undefined ? [] : [spec.clusterIP])].filter((ip) => ip !== ""));
    if (!ips.has("None")) {
      for (const ip of ips) {
        address(base, ip);
        pointer(ip, base);
      }
      for (const p of spec.ports ?? []) srv(base, p, base);
      continue;
    }
    for (const slice of byService.get(`${service.metadata.namespace ?? ""}/${service.metadata.name}`) ?? []) {
      for (const e of slice.endpoints ?? []) {
        if (e.conditions?.ready === false && spec.publishNotReadyAddresses !== true) continue;
        for (const ip of e.addresses) {
          const own = `${e.hostname ?? dashed(ip)}.${base}`;
          address(base, ip);
          address(own, ip);
          if (e.hostname !== undefined) pointer(ip, own);
          for (const p of slice.ports ?? []) if (typeof p.port === "number") srv(base, { ...p, port: p.port }, own);
        }
      }
    }
  }
  return { domain, names };
};
