// How do the parts of a ztunnel's /config_dump read as tables? (columns as `istioctl ztunnel-config`, ambient-l4 section 9)

import type { ConfigDump, DumpService, DumpWorkload } from "@ambit/shared/state/config-dump.ts";
import { table } from "./table.ts";

const byKey = <T>(items: readonly T[], key: (item: T) => string): T[] => [...items].sort((a, b) => key(a).localeCompare(key(b)));

/** The waypoint's name without its domain, or None. */
const waypointName = (x: DumpWorkload | DumpService): string => {
  const destination = x.waypoint?.destination;
  if (destination === undefined) return "None";
  const name = destination.slice(destination.indexOf("/") + 1);
  return /^[a-z]/.test(name) ? (name.split(".")[0] ?? name) : name;
};

export type WorkloadFilter = {
  readonly address?: string | undefined;
  readonly namespace?: string | undefined;
  readonly node?: string | undefined;
};

export const chosenWorkloads = (dump: Pick<ConfigDump, "workloads">, f: WorkloadFilter): DumpWorkload[] =>
  byKey(dump.workloads, (w) => `${w.namespace}/${w.name}/${w.uid}`).filter(
    (w) =>
      (f.address === undefined || w.workloadIps.includes(f.address)) &&
      (f.namespace === undefined || w.namespace === f.namespace) &&
      (f.node === undefined || w.node === f.node),
  );

export const workloadTable = (workloads: readonly DumpWorkload[]): string =>
  table(
    ["NAMESPACE", "POD NAME", "ADDRESS", "NODE", "WAYPOINT", "PROTOCOL"],
    workloads.map((w) => [w.namespace, w.name, w.workloadIps.join(","), w.node, waypointName(w), w.protocol]),
  );

export const chosenServices = (dump: Pick<ConfigDump, "services">, namespace: string | undefined): DumpService[] =>
  byKey(dump.services, (s) => `${s.namespace}/${s.name}`).filter((s) => namespace === undefined || s.namespace === namespace);

export const serviceTable = (services: readonly DumpService[]): string =>
  table(
    ["NAMESPACE", "SERVICE NAME", "SERVICE VIP", "WAYPOINT", "ENDPOINTS"],
    services.map((s) => {
      const all = Object.values(s.endpoints);
      const vips = s.vips.map((v) => v.slice(v.indexOf("/") + 1));
      return [
        s.namespace,
        s.name,
        vips.join(",") || "None",
        waypointName(s),
        `${all.filter((e) => e.status === "Healthy").length}/${all.length}`,
      ];
    }),
  );

export const policyTable = (policies: ConfigDump["policies"]): string =>
  table(
    ["NAMESPACE", "POLICY NAME", "ACTION", "SCOPE"],
    byKey(policies, (p) => `${p.namespace}/${p.name}`).map((p) => [
      p.namespace,
      p.name,
      p.refused === true ? `${p.action} all (could not be read)` : p.dryRun ? `${p.action} (dry run)` : p.action,
      p.scope,
    ]),
  );

/** `now` in milliseconds decides the VALID column. */
export const certificateTable = (certificates: ConfigDump["certificates"], now: number): string =>
  table(
    ["CERTIFICATE NAME", "TYPE", "STATUS", "VALID CERT", "SERIAL NUMBER", "NOT AFTER", "NOT BEFORE"],
    byKey(certificates, (c) => c.identity).flatMap((c) => {
      const row = (type: string, p: (typeof c.certChain)[number]): string[] => [
        c.identity,
        type,
        c.state,
        String(Date.parse(p.validFrom) <= now && now < Date.parse(p.expirationTime)),
        p.serialNumber,
        p.expirationTime,
        p.validFrom,
      ];
      const rows = [...c.certChain.map((p, i) => row(i === 0 ? "Leaf" : "Intermediate", p)), ...c.rootCerts.map((p) => row("Root", p))];
      return rows.length > 0 ? rows : [[c.identity, "None", c.state, "false", "", "", ""]];
    }),
  );

export const connectionTable = (
  dump: Pick<ConfigDump, "workloadState" | "workloads">,
  f: { direction?: string | undefined; raw?: boolean | undefined },
): string => {
  const names = new Map(dump.workloads.flatMap((w) => w.workloadIps.map((ip) => [ip, `${w.name}.${w.namespace}`] as const)));
  // "ip:port" with the ip replaced by the name of the workload that has it.
  const named = (address: string): string => {
    const m = /^\[?(.*?)\]?:(\d+)$/.exec(address);
    const name = f.raw === true ? undefined : names.get(m?.[1] ?? "");
    return name === undefined ? address : `${name}:${m?.[2]}`;
  };
  const rows = byKey(Object.values(dump.workloadState), (s) => `${s.info.namespace}/${s.info.name}`).flatMap((s) => {
    const who = `${s.info.name}.${s.info.namespace}`;
    const inbound = s.connections.inbound.map((c) => [who, "Inbound", named(c.actualDst), named(c.src), "", c.protocol]);
    const outbound = s.connections.outbound.map((c) => [
      who,
      "Outbound",
      named(c.src),
      named(c.actualDst),
      named(c.originalDst),
      c.protocol,
    ]);
    const wanted = f.direction?.toLowerCase();
    return [...(wanted === "outbound" ? [] : inbound), ...(wanted === "inbound" ? [] : outbound)];
  });
  return table(["WORKLOAD", "DIRECTION", "LOCAL", "REMOTE", "REMOTE TARGET", "PROTOCOL"], rows);
};
