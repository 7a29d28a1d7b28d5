// Which nftables rules carry Service addresses to endpoints?

import type { Service } from "@ambit/shared/kube/objects/core.ts";
import type { EndpointSlice } from "@ambit/shared/kube/objects/discovery.ts";

export const TABLE = "ambit-services";

type Family = "ipv4" | "ipv6";
type Target = { readonly ip: string; readonly port: number };
export type VirtualPort = {
  readonly family: Family;
  readonly ip: string;
  readonly protocol: "tcp" | "udp";
  readonly port: number;
  readonly targets: readonly Target[];
};

const PROTOCOLS: Readonly<Record<string, "tcp" | "udp">> = { TCP: "tcp", UDP: "udp" };
const SERVICE_LABEL = "kubernetes.io/service-name";

const familyOf = (ip: string): Family => (ip.includes(":") ? "ipv6" : "ipv4");

const targetsOf = (
  slices: readonly EndpointSlice[],
  of: { readonly family: Family; readonly portName: string; readonly protocol: string },
): readonly Target[] => {
  const seen = new Map<string, Target>();
  for (const slice of slices) {
    if (slice.addressType.toLowerCase() !== of.family) continue;
    const port = (slice.ports ?? []).find((p) => (p.name ?? "") === of.portName && (p.protocol ?? "TCP") === of.protocol)?.port;
    if (port === undefined || port === null) continue;
    for (const e of slice.endpoints ?? []) {
      if (e.conditions?.ready === false) continue;
      for (const ip of e.addresses.slice(0, 1)) seen.set(ip, { ip, port }); // the further addresses mean nothing (API: fungible)
    }
  }
  return [...seen.values()].sort((a, b) => (a.ip < b.ip ? -1 : a.ip > b.ip ? 1 : 0));
};

/** Every ClusterIP and port with the ready endpoints behind it. `except` are addresses that are served otherwise (cluster DNS). */
export const virtualPorts = (
  services: readonly Service[],
  slices: readonly EndpointSlice[],
  except: ReadonlySet<string>,
): readonly VirtualPort[] => {
  const byService = Map.groupBy(slices, (s) => `${s.metadata.namespace ?? ""}/${s.metadata.labels?.[SERVICE_LABEL] ?? ""}`);
  const ports: VirtualPort[] = [];
  for (const service of services) {
    const { clusterIP, clusterIPs } = service.spec;
    const ips = new Set(
      [...(clusterIPs ?? []), ...(clusterIP === undefined ? [] : [clusterIP])].filter(
        (ip) => ip !== "None" && ip !== "" && !except.has(ip),
      ),
    );
    const own = byService.get(`${service.metadata.namespace ?? ""}/${service.metadata.name}`) ?? [];
    for (const ip of ips) {
      for (const p of service.spec.ports ?? []) {
        const protocol = PROTOCOLS[p.protocol ?? "TCP"];
        if (protocol === undefined) continue;
        const family = familyOf(ip);
        ports.push({
          family,
          ip,
          protocol,
          port: p.port,
          targets: targetsOf(own, { family, portName: p.name ?? "", protocol: p.protocol ?? "TCP" }),
        });
      }
    }
  }
  return ports;
};

const chainName = (p: VirtualPort): string => `s-${p.ip.replace(/[.:]/g, "_")}-${p.protocol}-${p.port}`;

const address = (t: Target): string => (t.ip.includes(":") ? `[${t.ip}]:${t.port}` : `${t.ip}:${t.port}`);

const balance = (p: VirtualPort): string => {
  const to = p.family === "ipv4" ? "ip" : "ip6";
  const [only, ...more] = p.targets;
  if (only !== undefined && more.length === 0) return `meta l4proto ${p.protocol} dnat ${to} to ${address(only)}`;
  const choices = p.targets.map((t, i) => `${i} : ${t.ip} . ${t.port}`).join(", ");
  return `meta l4proto ${p.protocol} dnat ${to} addr . port to numgen random mod ${p.targets.length} map { ${choices} }`;
};

const elements = (list: readonly string[]): readonly string[] => (list.length === 0 ? [] : [`    elements = { ${list.join(", ")} }`]);

/**
 * The whole table as one transaction that replaces the last: connections under way keep their conntrack entry.
 * A port without endpoints is refused (port unreachable) rather than left to time out; a pod that reaches itself by its own
 * Service is masqueraded, because its answer would otherwise never pass the node.
 */
export const serviceRules = (ports: readonly VirtualPort[]): string => {
  const of = (family: Family, served: boolean): readonly VirtualPort[] =>
    ports.filter((p) => p.family === family && p.targets.length > 0 === served);
  const key = (p: VirtualPort): string => `${p.ip} . ${p.protocol} . ${p.port}`;
  const hairpins = (family: Family): readonly string[] => [
    ...new Set(of(family, true).flatMap((p) => p.targets.map((t) => `${t.ip} . ${t.ip}`))),
  ];
  const type = (family: Family): string => (family === "ipv4" ? "ipv4_addr" : "ipv6_addr");
  const families = [
    ["ipv4", "ip", "4"],
    ["ipv6", "ip6", "6"],
  ] as const;
  return `${[
    `table inet ${TABLE}`,
    `delete table inet ${TABLE}`,
    `table inet ${TABLE} {`,
    ...ports.filter((p) => p.targets.length > 0).flatMap((p) => [`  chain ${chainName(p)} {`, `    ${balance(p)}`, "  }"]),
    ...families.flatMap(([family, , n]) => [
      `  map served${n} {`,
      `    type ${type(family)} . inet_proto . inet_service : verdict`,
      ...elements(of(family, true).map((p) => `${key(p)} : goto ${chainName(p)}`)),
      "  }",
      `  set refused${n} {`,
      `    type ${type(family)} . inet_proto . inet_service`,
      ...elements(of(family, false).map(key)),
      "  }",
      `  set hairpin${n} {`,
      `    type ${type(family)} . ${type(family)}`,
      ...elements(hairpins(family)),
      "  }",
    ]),
    "  chain services {",
    ...families.map(([, ip, n]) => `    ${ip} daddr . meta l4proto . th dport vmap @served${n}`),
    "  }",
    "  chain refuse {",
    ...families.map(([, ip, n]) => `    ${ip} daddr . meta l4proto . th dport @refused${n} reject`),
    "  }",
    ...["prerouting", "output"].flatMap((hook) => [
      `  chain refuse-${hook} {`,
      `    type filter hook ${hook} priority -110; policy accept;`,
      "    jump refuse",
      "  }",
      `  chain nat-${hook} {`,
      `    type nat hook ${hook} priority -100; policy accept;`,
      "    jump services",
      "  }",
    ]),
    "  chain nat-postrouting {",
    "    type nat hook postrouting priority 100; policy accept;",
    ...families.map(([, ip, n]) => `    ct status dnat ${ip} saddr . ${ip} daddr @hairpin${n} masquerade`),
    "  }",
    "}",
  ].join("\n")}\n`;
};
