// Which rule takes a request? (Gateway API matching; rules come in order of precedence)

import type { PathMatch, RouteMatch, RouteRule, ValueMatch } from "@ambit/shared/route/types.ts";
import type { FullMatch } from "./regex.ts";

/** What rules look at. */
export type RoutedRequest = {
  readonly method: string;
  /** Normalised, without the query. */
  readonly path: string;
  readonly query: string | undefined;
  /** The first value of a header, by lower-case name; ":authority" and "host" are the authority. */
  header(name: string): string | undefined;
};

/** Which rules were asked, in order, and why they did not take it. For explain. */
export type Trail = readonly { readonly route: string; readonly rule: string; readonly missed: string }[];

export type RouteMatchResult =
  | { readonly kind: "rule"; readonly rule: RouteRule; readonly trail: Trail }
  /** Nothing is attached: plain forwarding. */
  | { readonly kind: "unrouted" }
  | { readonly kind: "no-match"; readonly trail: Trail };

export type MatchContext = { readonly callerNamespace: string | undefined; regex(pattern: string): FullMatch };

const trimSlash = (path: string): string => (path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path);

/** "/abc" takes "/abc", "/abc/" and "/abc/d", not "/abcd". */
export const matchesPrefix = (prefix: string, path: string): boolean => {
  const p = trimSlash(prefix);
  return p === "/" || p === "" || path === p || path.startsWith(`${p}/`);
};

const matchesPath = (m: PathMatch, path: string, ctx: MatchContext): boolean => {
  switch (m.type) {
    case "exact":
      return path === m.value;
    case "prefix":
      return matchesPrefix(m.value, path);
    case "regex":
      return ctx.regex(m.value)(path);
  }
};

const matchesValue = (m: ValueMatch, value: string | undefined, ctx: MatchContext): boolean => {
  if (value === undefined) return false;
  return m.type === "exact" ? value === m.value : ctx.regex(m.value)(value);
};

const decode = (text: string): string => {
  const plain = text.replaceAll("+", " ");
  try {
    return decodeURIComponent(plain);
  } catch {
    return plain; // not UTF-8 behind the percents: taken as written
  }
};

/** The first value of a query parameter; names and values percent-decoded. */
export const queryParam = (query: string | undefined, name: string): string | undefined => {
  for (const pair of query === undefined ? [] : query.split("&")) {
    const eq = pair.indexOf("=");
    if (decode(eq < 0 ? pair : pair.slice(0, eq)) === name) return eq < 0 ? "" : decode(pair.slice(eq + 1));
  }
  return undefined;
};

/** Why the match does not hold, or undefined when it does. */
export const missed = (m: RouteMatch, r: RoutedRequest, ctx: MatchContext): string | undefined => {
  if (m.path !== undefined && !matchesPath(m.path, r.path, ctx)) return `path ${m.path.type} ${m.path.value}`;
  if (m.method !== undefined && m.method !== r.method) return `method ${m.method}`;
  const header = m.headers.find((h) => !matchesValue(h.match, r.header(h.name), ctx));
  if (header !== undefined) return `header ${header.name} ${header.match.type} ${header.match.value}`;
  const param = m.queryParams.find((q) => !matchesValue(q.match, queryParam(r.query, q.name), ctx));
  return param === undefined ? undefined : `query parameter ${param.name} ${param.match.type} ${param.match.value}`;
};

/** Consumer rules of the caller's namespace when there are any (they hide the producers'), else the producers' rules. */
const rulesFor = (rules: readonly RouteRule[], callerNamespace: string | undefined): readonly RouteRule[] => {
  const consumer = callerNamespace === undefined ? [] : rules.filter((r) => r.consumerNamespace === callerNamespace);
  return consumer.length > 0 ? consumer : rules.filter((r) => r.consumerNamespace === undefined);
};

/**
 * The first rule that holds for the request. A port whose only routes are other namespaces' consumer routes
 * is unrouted for this caller.
 */
export const matchRoute = (
  port: { routed: boolean; rules: readonly RouteRule[] },
  r: RoutedRequest,
  ctx: MatchContext,
): RouteMatchResult => {
  const rules = rulesFor(port.rules, ctx.callerNamespace);
  const onlyOthers = rules.length === 0 && port.rules.length > 0;
  if (!port.routed || onlyOthers) return { kind: "unrouted" };
  const trail: { route: string; rule: string; missed: string }[] = [];
  for (const rule of rules) {
    const why = missed(rule.match, r, ctx);
    if (why === undefined) return { kind: "rule", rule, trail };
    trail.push({ route: rule.route, rule: rule.rule, missed: why });
  }
  return { kind: "no-match", trail };
};
