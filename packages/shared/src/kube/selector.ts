// Does a label selector match these labels?

import type { LabelSelector, LabelSelectorRequirement, Labels } from "./objects/meta.ts";

/** Every pair is present (an empty or absent map matches everything). */
export const matchesLabels = (wanted: Labels | undefined, labels: Labels | undefined): boolean =>
  Object.entries(wanted ?? {}).every(([k, v]) => labels !== undefined && Object.hasOwn(labels, k) && labels[k] === v);

/** One requirement. An operator we do not know matches nothing. Gt and Lt compare whole numbers, as node affinity does. */
export const matchesRequirement = (req: LabelSelectorRequirement, labels: Labels | undefined): boolean => {
  const value = labels !== undefined && Object.hasOwn(labels, req.key) ? labels[req.key] : undefined;
  const values = req.values ?? [];
  switch (req.operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
    case "Lt": {
      const [left, right] = [wholeNumber(value), wholeNumber(values[0])];
      if (left === undefined || right === undefined || values.length !== 1) return false;
      return req.operator === "Gt" ? left > right : left < right;
    }
    default:
      return false;
  }
};

const wholeNumber = (text: string | undefined): number | undefined =>
  text !== undefined && /^-?\d{1,15}$/.test(text) ? Number(text) : undefined;

/** Absent selects nothing, empty selects everything (metav1.LabelSelector). */
export const matchesSelector = (selector: LabelSelector | undefined, labels: Labels | undefined): boolean =>
  selector !== undefined &&
  matchesLabels(selector.matchLabels, labels) &&
  (selector.matchExpressions ?? []).every((r) => matchesRequirement(r, labels));

/** The text form for `labelSelector=` query parameters and `scale.status.selector`. */
export const selectorText = (selector: LabelSelector): string =>
  [
    ...Object.entries(selector.matchLabels ?? {})
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => `${k}=${v}`),
    ...(selector.matchExpressions ?? []).map((r) => {
      const values = `(${[...(r.values ?? [])].sort().join(",")})`;
      switch (r.operator) {
        case "In":
          return `${r.key} in ${values}`;
        case "NotIn":
          return `${r.key} notin ${values}`;
        case "DoesNotExist":
          return `!${r.key}`;
        case "Gt":
          return `${r.key}>${r.values?.[0] ?? ""}`;
        case "Lt":
          return `${r.key}<${r.values?.[0] ?? ""}`;
        default:
          return r.key;
      }
    }),
  ].join(",");
