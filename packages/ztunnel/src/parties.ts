// Who takes part in a connection, as metrics and access log tell it: made once for each, not for each connection.

import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import { destinationLabels, known, serviceLabels, sourceLabels } from "@ambit/shared/proxy/labels.ts";
import type { Service, Workload } from "@ambit/shared/state/types.ts";
import { FieldGroup, type Fields } from "@ambit/shared/telemetry/log-line.ts";

/** A workload at one end of a connection. */
export type Party = {
  /** Equal for parties whose labels are equal. */
  readonly id: number;
  /** The log's fields, beside the address. */
  readonly log: FieldGroup;
};

/** More different ones are not remembered at once; what is forgotten is made again, with another number. */
const MOST = 8_192;

const numbers = () => {
  const ids = new Map<string, number>();
  let next = 0;
  return (key: string): number => {
    const id = ids.get(key) ?? next++;
    if (ids.size >= MOST) ids.clear();
    ids.set(key, id);
    return id;
  };
};

/** Remembers for as long as the owner lives; for nobody, a bounded number. */
const perOwner = <T>() => {
  const owned = new WeakMap<object, Map<string, T>>();
  const nobody = new Map<string, T>();
  return (owner: object | undefined, key: string, make: () => T): T => {
    const held = owner === undefined ? nobody : (owned.get(owner) ?? new Map<string, T>());
    const found = held.get(key);
    if (found !== undefined) return found;
    if (held.size >= MOST) held.clear();
    const made = make();
    held.set(key, made);
    if (owner !== undefined) owned.set(owner, held);
    return made;
  };
};

const text = (s: string | undefined): string | undefined => (s === "" ? undefined : s);

const logFields = (side: "src" | "dst", w: Workload | undefined, principal: string | undefined): Fields => ({
  [`${side}.workload`]: text(w?.name),
  [`${side}.namespace`]: text(w?.namespace),
  [`${side}.identity`]: principal,
  [`${side}.cluster`]: text(w?.clusterId),
});

export type Parties = {
  /** `identity` is what the connection proved: leave it out where nothing was. */
  source(w: Workload | undefined, identity: SpiffeId | undefined): Party;
  destination(w: Workload | undefined, identity: SpiffeId | undefined): Party;
  service(s: Service | undefined): number;
};

export const createParties = (): Parties => {
  const id = numbers();
  const serviceId = numbers();
  const sources = perOwner<Party>();
  const destinations = perOwner<Party>();
  const services = new WeakMap<Service, number>();
  const party = (w: Workload | undefined, labels: Readonly<Record<string, string>>, log: Fields): Party => ({
    id: id(`${Object.values(labels).join("\u0000")}\u0000${known(w?.locality.region)}\u0000${known(w?.locality.zone)}`),
    log: new FieldGroup(log),
  });
  return {
    source: (w, identity) =>
      sources(w, identity?.uri ?? "", () => party(w, sourceLabels(w, identity?.uri), logFields("src", w, identity?.uri))),
    destination: (w, identity) =>
      destinations(w, identity?.uri ?? "", () => party(w, destinationLabels(w, identity?.uri), logFields("dst", w, identity?.uri))),
    service: (s) => {
      if (s === undefined) return -1;
      const found = services.get(s) ?? serviceId(Object.values(serviceLabels(s)).join("\u0000"));
      services.set(s, found);
      return found;
    },
  };
};
