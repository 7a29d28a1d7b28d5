// How is a route rule written and read? (ambit.waypoint.v1.Rule)

import type { PathMatch, RouteMatch, RouteRule, ValueMatch } from "../route/types.ts";
import { allOf, err, mapOk, ok, type Result } from "../runtime/result.ts";
import { readBackend, readFilter, type WireFilter, type WireWeightedBackend, writeBackend, writeFilter } from "./filter.ts";
import { at, each, oneofCase, readName } from "./read.ts";

type WirePathMatch = { exact?: string; prefix?: string; regex?: string };
type WireNamed = { name: string; exact?: string; regex?: string };
type WireMatch = { path?: WirePathMatch | null; method?: string | null; headers: WireNamed[]; queryParams: WireNamed[] };
export type WireRule = {
  route: string;
  rule: string;
  consumerNamespace?: string | null;
  match?: WireMatch | null;
  filters: WireFilter[];
  backends: WireWeightedBackend[];
  requestTimeoutMs?: number | null;
  backendTimeoutMs?: number | null;
  retry?: { attempts: number; codes: number[]; backoffMs: number } | null;
};
type Named = RouteMatch["headers"][number];

const writeNamed = (n: Named): WireNamed =>
  n.match.type === "exact" ? { name: n.name, exact: n.match.value } : { name: n.name, regex: n.match.value };

const readNamed = (n: WireNamed): Result<Named> => {
  const name = readName("name", n.name);
  const which = oneofCase("type", n, ["exact", "regex"]);
  if (!name.ok) return name;
  if (!which.ok) return which;
  const match: ValueMatch = { type: which.value, value: n[which.value] ?? "" };
  return ok({ name: name.value, match });
};

const writePath = (p: PathMatch): WirePathMatch => {
  switch (p.type) {
    case "exact":
      return { exact: p.value };
    case "prefix":
      return { prefix: p.value };
    case "regex":
      return { regex: p.value };
  }
};

const readPath = (p: WirePathMatch | null | undefined): Result<PathMatch | undefined> => {
  if (!p) return ok(undefined);
  const which = oneofCase("type", p, ["exact", "prefix", "regex"]);
  return which.ok ? ok({ type: which.value, value: p[which.value] ?? "" }) : which;
};

const readMatch = (m: WireMatch | null | undefined): Result<RouteMatch> =>
  m
    ? mapOk(
        allOf({
          path: at("path", readPath(m.path)),
          headers: each("headers", m.headers, readNamed),
          queryParams: each("query_params", m.queryParams, readNamed),
        }),
        (read) => ({ ...read, method: m.method ?? undefined }),
      )
    : err("match is missing");

export const writeRule = (r: RouteRule): WireRule => ({
  route: r.route,
  rule: r.rule,
  consumerNamespace: r.consumerNamespace ?? null,
  match: {
    path: r.match.path === undefined ? null : writePath(r.match.path),
    method: r.match.method ?? null,
    headers: r.match.headers.map(writeNamed),
    queryParams: r.match.queryParams.map(writeNamed),
  },
  filters: r.filters.map(writeFilter),
  backends: r.backends.map(writeBackend),
  requestTimeoutMs: r.requestTimeoutMs ?? null,
  backendTimeoutMs: r.backendTimeoutMs ?? null,
  retry: { attempts: r.retry.attempts, codes: [...r.retry.codes], backoffMs: r.retry.backoffMs },
});

export const readRule = (r: WireRule): Result<RouteRule> =>
  mapOk(
    allOf({
      match: at("match", readMatch(r.match)),
      filters: each("filters", r.filters, readFilter),
      backends: each("backends", r.backends, readBackend),
      retry: r.retry
        ? ok({ attempts: r.retry.attempts, codes: [...r.retry.codes], backoffMs: r.retry.backoffMs })
        : err("retry is missing"),
    }),
    (read) => ({
      ...read,
      route: r.route,
      rule: r.rule,
      consumerNamespace: r.consumerNamespace ?? undefined,
      requestTimeoutMs: r.requestTimeoutMs ?? undefined,
      backendTimeoutMs: r.backendTimeoutMs ?? undefined,
    }),
  );
