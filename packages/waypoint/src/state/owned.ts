// Which services does this waypoint own, as last pushed?

import { addressKey } from "@ambit/shared/addr/socket.ts";
import type { PathMatch, RouteRule, ValueMatch, WaypointService } from "@ambit/shared/route/types.ts";
import { serviceKey } from "@ambit/shared/state/types.ts";
import type { OwnedServices } from "../inbound/target.ts";
import type { Patterns } from "../route/regex.ts";

export type OwnedStore = OwnedServices & {
  /** Applies the whole push at once and compiles its patterns. */
  commit(upserts: readonly WaypointService[], removed: readonly string[]): void;
  list(): IterableIterator<WaypointService>;
};

const regexOf = (m: ValueMatch | PathMatch | undefined): string[] => (m?.type === "regex" ? [m.value] : []);
const patternsOf = (r: RouteRule): string[] => [
  ...regexOf(r.match.path),
  ...r.match.headers.flatMap((h) => regexOf(h.match)),
  ...r.match.queryParams.flatMap((q) => regexOf(q.match)),
];

export const createOwnedStore = (patterns: Patterns): OwnedStore => {
  const services = new Map<string, WaypointService>();
  let byAddress = new Map<string, WaypointService>();
  let byHostname = new Map<string, WaypointService[]>();

  const reindex = (): void => {
    byAddress = new Map();
    byHostname = new Map();
    const inUse = new Set<string>();
    for (const s of services.values()) {
      for (const a of s.addresses) byAddress.set(addressKey(a.network, a.ip), s);
      byHostname.set(s.hostname, [...(byHostname.get(s.hostname) ?? []), s]);
      for (const pattern of s.ports.flatMap((p) => p.rules.flatMap(patternsOf))) {
        inUse.add(pattern);
        patterns.matcher(pattern);
      }
    }
    patterns.keep(inUse);
  };
  return {
    byAddress: (network, ip) => byAddress.get(addressKey(network, ip)),
    byHostname: (hostname) => byHostname.get(hostname) ?? [],
    byKey: (key) => services.get(key),
    commit: (upserts, removed) => {
      for (const name of removed) services.delete(name);
      for (const s of upserts) services.set(serviceKey(s), s);
      reindex();
    },
    list: () => services.values(),
  };
};
