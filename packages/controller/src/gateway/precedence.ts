// Of several rules that match a request, which comes first? (Gateway API; waypoint-l7 section 2.1)

import type { RouteRule } from "@ambit/shared/route/types.ts";

/** One match of one rule of one route, with what decides its place. */
export type Ranked = {
  readonly rule: RouteRule;
  readonly created: string;
  /** "namespace/name" of the route. */
  readonly route: string;
  readonly ruleIndex: number;
  readonly matchIndex: number;
};

const PATH_RANK = { exact: 3, prefix: 2, regex: 1 } as const;

/** Each entry is compared in turn; greater is more specific. */
const specificity = ({ match }: RouteRule): readonly number[] => [
  match.path === undefined ? 0 : PATH_RANK[match.path.type],
  match.path?.value.length ?? 0,
  match.method === undefined ? 0 : 1,
  match.headers.length,
  match.queryParams.length,
];

const textOrder = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1);

/**
 * Exact path > longest prefix > regular expression (Istio's rank); then a method; then more headers; then more query
 * parameters; then the older route; then "namespace/name"; then the order within the route.
 */
export const byPrecedence = (a: Ranked, b: Ranked): number => {
  const theirs = specificity(b.rule);
  for (const [i, mine] of specificity(a.rule).entries()) {
    const difference = (theirs[i] ?? 0) - mine;
    if (difference !== 0) return difference;
  }
  return textOrder(a.created, b.created) || textOrder(a.route, b.route) || a.ruleIndex - b.ruleIndex || a.matchIndex - b.matchIndex;
};
