// Which workloads are a service's endpoints, when there may be ten thousand and a push changes one?

import type { Endpoint, Port, Workload } from "./types.ts";

/** Up to here an endpoint is found by looking at all. */
const SEARCHED = 64;

type Service = {
  readonly list: Endpoint[];
  /** Where each workload is in the list; only for long lists. */
  places: Map<Workload, number> | undefined;
};

export type Members = {
  /** The service's endpoints in no order. The list is the live one: it changes with the next commit, so it is looked at, not kept. */
  of(serviceKey: string): readonly Endpoint[];
  add(serviceKey: string, workload: Workload, ports: readonly Port[]): void;
  remove(serviceKey: string, workload: Workload): void;
};

const NONE: readonly Endpoint[] = Object.freeze([]);

const placeOf = (s: Service, workload: Workload): number =>
  s.places === undefined ? s.list.findIndex((e) => e.workload === workload) : (s.places.get(workload) ?? -1);

export const createMembers = (): Members => {
  const services = new Map<string, Service>();
  return {
    of: (key) => services.get(key)?.list ?? NONE,
    add: (key, workload, ports) => {
      const held = services.get(key);
      const s = held ?? { list: [], places: undefined };
      if (held === undefined) services.set(key, s);
      s.list.push({ workload, ports });
      if (s.places !== undefined) s.places.set(workload, s.list.length - 1);
      else if (s.list.length > SEARCHED) s.places = new Map(s.list.map((e, i) => [e.workload, i]));
    },
    remove: (key, workload) => {
      const s = services.get(key);
      if (s === undefined) return;
      const at = placeOf(s, workload);
      const last = s.list.at(-1);
      if (at < 0 || last === undefined) return;
      // The last one takes its place: nothing else moves.
      s.list.pop();
      s.places?.delete(workload);
      if (last.workload !== workload) {
        s.list[at] = last;
        s.places?.set(last.workload, at);
      }
      if (s.list.length === 0) services.delete(key);
    },
  };
};
