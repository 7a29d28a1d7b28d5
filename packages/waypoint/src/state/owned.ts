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

/** How long a service that was taken from this waypoint is still served: until every ztunnel has heard that it goes elsewhere. */
const LINGER_MS = 15_000;

/** A service and until when it is served; owned ones have no end. */
type Held = { readonly service: WaypointService; readonly until: number };

/** `now` in milliseconds. A push takes away at once what it replaces, and after LINGER_MS what it removes. */
export const createOwnedStore = (patterns: Patterns, now: () => number): OwnedStore => {
  const services = new Map<string, WaypointService>();
  const leaving = new Map<string, Held>();
  let byAddress = new Map<string, Held>();
  let byHostname = new Map<string, Held[]>();

  const reindex = (): void => {
    byAddress = new Map();
    byHostname = new Map();
    const inUse = new Set<string>();
    const owned = [...services.values()].map((service): Held => ({ service, until: Number.POSITIVE_INFINITY }));
    // What is owned comes last: an address that has passed to another service is the other's.
    for (const held of [...leaving.values(), ...owned]) {
      const s = held.service;
      for (const a of s.addresses) byAddress.set(addressKey(a.network, a.ip), held);
      byHostname.set(s.hostname, [...(byHostname.get(s.hostname) ?? []), held]);
      for (const pattern of s.ports.flatMap((p) => p.rules.flatMap(patternsOf))) {
        inUse.add(pattern);
        patterns.matcher(pattern);
      }
    }
    patterns.keep(inUse);
  };
  const current = (held: Held | undefined): WaypointService | undefined =>
    held !== undefined && now() < held.until ? held.service : undefined;
  return {
    byAddress: (network, ip) => current(byAddress.get(addressKey(network, ip))),
    byHostname: (hostname) => (byHostname.get(hostname) ?? []).flatMap((h) => current(h) ?? []),
    byKey: (key) => services.get(key) ?? current(leaving.get(key)),
    commit: (upserts, removed) => {
      for (const [key, held] of leaving) if (now() >= held.until) leaving.delete(key);
      for (const name of removed) {
        const service = services.get(name);
        if (service !== undefined) leaving.set(name, { service, until: now() + LINGER_MS });
        services.delete(name);
      }
      for (const s of upserts) {
        services.set(serviceKey(s), s);
        leaving.delete(serviceKey(s));
      }
      reindex();
    },
    list: () => services.values(),
  };
};
