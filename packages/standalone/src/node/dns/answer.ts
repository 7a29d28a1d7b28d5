// What does the cluster's DNS server answer to a question?

import { isIP } from "node:net";
import type { NameRecords, Zone } from "./records.ts";

export type Question = { readonly name: string; readonly type: string };
export type AnswerRecord =
  | { readonly type: "A" | "AAAA" | "CNAME" | "PTR"; readonly name: string; readonly ttl: number; readonly data: string }
  | {
      readonly type: "SRV";
      readonly name: string;
      readonly ttl: number;
      readonly data: { readonly port: number; readonly target: string; readonly priority: number; readonly weight: number };
    };
export type Soa = {
  readonly type: "SOA";
  readonly name: string;
  readonly ttl: number;
  readonly data: {
    readonly mname: string;
    readonly rname: string;
    readonly serial: number;
    readonly refresh: number;
    readonly retry: number;
    readonly expire: number;
    readonly minimum: number;
  };
};
/** RCODEs of RFC 1035. */
export type Answer = {
  readonly rcode: 0 | 3 | 5;
  readonly answers: readonly AnswerRecord[];
  readonly additionals: readonly AnswerRecord[];
  readonly authorities: readonly Soa[];
};

const TTL = 5;

const soa = (zone: Zone): Soa => ({
  type: "SOA",
  name: zone.domain,
  ttl: TTL,
  data: {
    mname: `ns.dns.${zone.domain}`,
    rname: `hostmaster.${zone.domain}`,
    serial: 1,
    refresh: 7200,
    retry: 1800,
    expire: 86_400,
    minimum: TTL,
  },
});

const within = (zone: Zone, name: string): boolean => name === zone.domain || name.endsWith(`.${zone.domain}`);

/** "10-244-1-2.shop.pod.cluster.local" names 10.244.1.2 whether or not there is such a pod. */
const podAddress = (zone: Zone, name: string): string | undefined => {
  const m = /^([0-9a-f-]+)\.[^.]+\.pod$/.exec(name.slice(0, -zone.domain.length - 1));
  if (m === null) return undefined;
  const [text = ""] = m.slice(1);
  return [text.replaceAll("-", "."), text.replaceAll("-", ":")].find((ip) => isIP(ip) !== 0);
};

const recordsAt = (zone: Zone, name: string): NameRecords | undefined => {
  const held = zone.names.get(name);
  if (held !== undefined) return held;
  const ip = within(zone, name) ? podAddress(zone, name) : undefined;
  if (ip === undefined) return undefined;
  return { a: ip.includes(":") ? [] : [ip], aaaa: ip.includes(":") ? [ip] : [], srv: [], cname: undefined, ptr: [] };
};

const addresses = (name: string, r: NameRecords, type: "A" | "AAAA"): readonly AnswerRecord[] =>
  (type === "A" ? r.a : r.aaaa).map((data) => ({ type, name, ttl: TTL, data }));

const answersFor = (
  zone: Zone,
  q: Question,
  r: NameRecords,
): { readonly answers: readonly AnswerRecord[]; readonly additionals: readonly AnswerRecord[] } => {
  const name = q.name;
  if (r.cname !== undefined) {
    const target = zone.names.get(r.cname.toLowerCase());
    const more = target !== undefined && (q.type === "A" || q.type === "AAAA") ? addresses(r.cname, target, q.type) : [];
    return { answers: [{ type: "CNAME", name, ttl: TTL, data: r.cname }, ...more], additionals: [] };
  }
  switch (q.type) {
    case "A":
    case "AAAA":
      return { answers: addresses(name, r, q.type), additionals: [] };
    case "PTR":
      return { answers: r.ptr.map((data) => ({ type: "PTR", name, ttl: TTL, data })), additionals: [] };
    case "SRV": {
      const weight = Math.max(1, Math.floor(100 / Math.max(1, r.srv.length)));
      const answers = r.srv.map((s): AnswerRecord => ({ type: "SRV", name, ttl: TTL, data: { ...s, priority: 0, weight } }));
      const targets = [...new Set(r.srv.map((s) => s.target))];
      const additionals = targets.flatMap((t) => {
        const held = zone.names.get(t.toLowerCase());
        return held === undefined ? [] : [...addresses(t, held, "A"), ...addresses(t, held, "AAAA")];
      });
      return { answers, additionals };
    }
    default:
      return { answers: [], additionals: [] };
  }
};

/**
 * The cluster's own names with authority: NOERROR (also for a name that has no record of the type), NXDOMAIN with the zone's SOA
 * otherwise. Reverse names are answered where known. All else is REFUSED: this server asks nobody.
 */
export const answer = (zone: Zone, q: Question): Answer => {
  const key = q.name.toLowerCase().replace(/\.$/, "");
  const reverse = key.endsWith(".in-addr.arpa") || key.endsWith(".ip6.arpa");
  const records = recordsAt(zone, key);
  if (records === undefined) {
    if (within(zone, key)) return { rcode: 3, answers: [], additionals: [], authorities: [soa(zone)] };
    return { rcode: reverse ? 3 : 5, answers: [], additionals: [], authorities: [] };
  }
  const found = answersFor(zone, q, records);
  return { rcode: 0, ...found, authorities: found.answers.length === 0 && !reverse ? [soa(zone)] : [] };
};
