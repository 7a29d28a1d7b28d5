// What has this proxy seen of each endpoint: connections open to it, and failures in a row?

import type { Standing } from "@ambit/shared/state/balance.ts";
import { type Health, type HealthEvent, isEjected, stepHealth } from "./ejection.ts";
import type { EndpointReports } from "./reports.ts";

/** A connection to an endpoint, from the moment it is chosen until it has ended. */
export type Attempt = Disposable & {
  /** Says once what became of opening it; what is disposed before that says nothing of the endpoint. */
  tell(event: "succeeded" | "failed" | "declined"): void;
};

export type EndpointBook = Standing & {
  /** Counts until disposed. Keys as of `endpointKey`. */
  begin(key: string): Attempt;
  health(key: string): Health | undefined;
};

/** Endpoints remembered for having failed; the oldest are forgotten first. */
const REMEMBERED = 4_096;

export type EndpointBookOptions = { readonly now: () => number; readonly reports: EndpointReports };

/** Ejected and not yet back among the others: from the first time until it serves again or is forgotten. */
const isOut = (h: Health | undefined): boolean => h !== undefined && h.t !== "failing";

/** One per data thread: its pods share what they have learnt. */
export const createEndpointBook = ({ now, reports }: EndpointBookOptions): EndpointBook => {
  const loads = new Map<string, number>();
  const seen = new Map<string, Health>();

  const put = (key: string, health: Health | undefined): void => {
    const before = isOut(seen.get(key));
    if (before && !isOut(health)) reports.restored();
    if (!before && isOut(health)) reports.ejected();
    seen.delete(key); // put back at the end: the map's order is by age
    if (health === undefined) return;
    seen.set(key, health);
    const oldest = seen.size > REMEMBERED ? seen.keys().next() : undefined;
    if (oldest?.done === false) put(oldest.value, undefined);
  };
  const apply = (key: string, event: HealthEvent): void => {
    const before = seen.get(key);
    if (before === undefined && (event === "succeeded" || event === "chosen" || event === "abandoned")) return;
    const after = stepHealth(before, event, { now: now() });
    if (after !== before) put(key, after);
  };
  const count = (key: string, change: 1 | -1): void => {
    const next = (loads.get(key) ?? 0) + change;
    if (next > 0) loads.set(key, next);
    else loads.delete(key);
  };

  return {
    load: (key) => loads.get(key) ?? 0,
    ejected: (key) => isEjected(seen.get(key), now()),
    health: (key) => seen.get(key),
    begin: (key) => {
      let told = false;
      let ended = false;
      count(key, 1);
      apply(key, "chosen");
      return {
        tell: (event) => {
          if (told) return;
          told = true;
          apply(key, event);
        },
        [Symbol.dispose]: () => {
          if (ended) return;
          ended = true;
          count(key, -1);
          if (!told) apply(key, "abandoned");
        },
      };
    },
  };
};
