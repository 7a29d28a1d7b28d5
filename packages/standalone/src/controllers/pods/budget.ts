// How many pods is "25%" of a number?

import type { IntOrString } from "@ambit/shared/kube/objects/meta.ts";

/** A count or a percentage of total. Undefined when the text is neither (the API server refuses such, so nothing is assumed here). */
export const scaled = (value: IntOrString | undefined, total: number, round: "up" | "down"): number | undefined => {
  if (value === undefined) return undefined;
  if (typeof value === "number") return value;
  const percent = /^(\d{1,6})%$/.exec(value)?.[1];
  if (percent === undefined) return /^\d{1,9}$/.test(value) ? Number(value) : undefined;
  const exact = (Number(percent) * total) / 100;
  return round === "up" ? Math.ceil(exact) : Math.floor(exact);
};

/** The deployment rule (intstrutil.ResolveFenceposts): surge rounds up, unavailable rounds down, and both zero would never move. */
export const fenceposts = (
  rolling: { readonly maxSurge?: IntOrString; readonly maxUnavailable?: IntOrString } | undefined,
  replicas: number,
): { surge: number; unavailable: number } => {
  const surge = scaled(rolling?.maxSurge ?? "25%", replicas, "up") ?? 0;
  const unavailable = scaled(rolling?.maxUnavailable ?? "25%", replicas, "down") ?? 0;
  return surge === 0 && unavailable === 0 ? { surge: 0, unavailable: 1 } : { surge, unavailable: Math.min(unavailable, replicas) };
};
