// What does an HTTPRoute become: rules per service port, and what is wrong with it? (waypoint-l7 sections 2.1 to 2.6)

import type {
  BackendRef,
  HTTPRoute,
  HttpHeaderMatch,
  HttpRouteMatch,
  HttpRouteRule,
  ParentReference,
} from "@ambit/shared/kube/objects/gateway.ts";
import {
  type BackendTarget,
  DEFAULT_RETRY,
  type Filter,
  type RetryPolicy,
  type RouteMatch,
  type RouteRule,
  type WeightedBackend,
} from "@ambit/shared/route/types.ts";
import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";
import { gatewayDurationMs } from "./duration.ts";
import { incompatible, toFilter } from "./filters.ts";
import type { Ranked } from "./precedence.ts";

/** A Service as routes see it. */
export type RouteService = {
  readonly namespace: string;
  readonly name: string;
  readonly hostname: string;
  readonly ports: readonly { readonly name: string; readonly port: number }[];
};
/** By "ns/name"; undefined when there is none (or it is an ExternalName). */
export type ServiceLookup = (key: string) => RouteService | undefined;

export type Accepted =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: "NoMatchingParent" | "UnsupportedValue" | "IncompatibleFilters"; readonly message: string };
export type Resolved =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: "BackendNotFound" | "InvalidKind"; readonly message: string };

/** What became of a route at one of its parents. */
export type RouteAtParent = {
  readonly parentRef: ParentReference;
  /** "ns/name" of the Service, when the parent is one. */
  readonly service: string | undefined;
  readonly accepted: Accepted;
  readonly resolved: Resolved;
  readonly ports: readonly number[];
};

export type CompiledRoute = {
  /** "namespace/name" */
  readonly key: string;
  readonly namespace: string;
  readonly parents: readonly RouteAtParent[];
  readonly ranked: readonly Ranked[];
};

type Problems = { readonly unsupported: string[]; readonly incompatible: string[]; readonly kinds: string[]; readonly missing: string[] };

/** undefined for parents that are not Services: those are somebody else's. */
const isMeshParent = (p: ParentReference): boolean => p.kind === "Service" && (p.group === "" || p.group === "core");

export const compileRoute = (route: HTTPRoute, services: ServiceLookup): CompiledRoute => {
  const { namespace = "", name } = route.metadata;
  const problems: Problems = { unsupported: [], incompatible: [], kinds: [], missing: [] };
  const rules = route.spec.rules ?? [{}];
  const ranked = rules.flatMap((rule, ruleIndex) => compileRule(rule, { route, ruleIndex, services, problems }));
  const accepted: Accepted =
    problems.incompatible.length > 0
      ? { ok: false, reason: "IncompatibleFilters", message: problems.incompatible.join("; ") }
      : problems.unsupported.length > 0
        ? { ok: false, reason: "UnsupportedValue", message: problems.unsupported.join("; ") }
        : { ok: true };
  const resolved: Resolved =
    problems.kinds.length > 0
      ? { ok: false, reason: "InvalidKind", message: problems.kinds.join("; ") }
      : problems.missing.length > 0
        ? { ok: false, reason: "BackendNotFound", message: problems.missing.join("; ") }
        : { ok: true };
  return {
    key: `${namespace}/${name}`,
    namespace,
    ranked,
    parents: (route.spec.parentRefs ?? []).filter(isMeshParent).map((parentRef) => ({
      ...atParent(parentRef, { namespace, services, accepted }),
      parentRef,
      resolved,
    })),
  };
};

const atParent = (
  ref: ParentReference,
  route: { readonly namespace: string; readonly services: ServiceLookup; readonly accepted: Accepted },
): Pick<RouteAtParent, "service" | "accepted" | "ports"> => {
  const key = `${ref.namespace ?? route.namespace}/${ref.name}`;
  const service = route.services(key);
  const noMatch = (message: string) => ({ service: key, ports: [], accepted: { ok: false, reason: "NoMatchingParent", message } as const });
  if (service === undefined) return noMatch(`Service ${key} does not exist`);
  const ports = service.ports.filter((p) => (ref.port ?? p.port) === p.port && (ref.sectionName ?? p.name) === p.name).map((p) => p.port);
  if (ports.length === 0) return noMatch(`Service ${key} has no port ${ref.port ?? JSON.stringify(ref.sectionName)}`);
  return { service: key, ports, accepted: route.accepted };
};

type RuleContext = {
  readonly route: HTTPRoute;
  readonly ruleIndex: number;
  readonly services: ServiceLookup;
  readonly problems: Problems;
};

/** A rule for each of its matches: precedence is by match. A match that cannot be read never matches; its rule is reported. */
const compileRule = (rule: HttpRouteRule, context: RuleContext): readonly Ranked[] => {
  const { route, ruleIndex, problems } = context;
  const { namespace = "", name, creationTimestamp = "" } = route.metadata;
  const clash = incompatible(rule.filters ?? []);
  if (clash !== undefined) problems.incompatible.push(`rule ${ruleIndex}: ${clash}`);
  const backends = (rule.backendRefs ?? []).map((ref) => compileBackend(ref, context));
  const note = <T>(r: Result<T>, fallback: T): T => {
    if (r.ok) return r.value;
    problems.unsupported.push(`rule ${ruleIndex}: ${r.error}`);
    return fallback;
  };
  const requestTimeoutMs = note(timeout(rule.timeouts?.request), undefined);
  const backendTimeoutMs = note(timeout(rule.timeouts?.backendRequest), undefined);
  const retry = note(retryPolicy(rule), DEFAULT_RETRY);
  const matches: readonly HttpRouteMatch[] = rule.matches !== undefined && rule.matches.length > 0 ? rule.matches : [{}];
  return matches.flatMap((m, matchIndex) => {
    const match = compileMatch(m);
    if (!match.ok) {
      problems.unsupported.push(`rule ${ruleIndex} match ${matchIndex}: ${match.error}`);
      return [];
    }
    const prefix = match.value.path?.type === "prefix" ? match.value.path.value : undefined;
    const filters: readonly Filter[] =
      clash === undefined
        ? (rule.filters ?? []).map((f) => toFilter(f, { prefix, backend: (ref) => targetOf(ref, context) }))
        : [{ kind: "unsupported", reason: clash }];
    for (const f of filters)
      if (f.kind === "unsupported" && clash === undefined) problems.unsupported.push(`rule ${ruleIndex}: ${f.reason}`);
    const compiled: RouteRule = {
      route: `HTTPRoute/${namespace}/${name}`,
      rule: rule.name ?? `${ruleIndex}.${matchIndex}`,
      consumerNamespace: undefined,
      match: match.value,
      filters,
      backends,
      requestTimeoutMs,
      backendTimeoutMs,
      retry,
    };
    return [{ rule: compiled, created: creationTimestamp, route: `${namespace}/${name}`, ruleIndex, matchIndex }];
  });
};

const valueMatches = (list: readonly HttpHeaderMatch[] | undefined, fold: (name: string) => string): Result<RouteMatch["headers"]> => {
  const out = new Map<string, RouteMatch["headers"][number]>();
  for (const h of list ?? []) {
    const name = fold(h.name);
    const type = h.type ?? "Exact";
    if (type !== "Exact" && type !== "RegularExpression") return err(`match type ${JSON.stringify(type)} of ${h.name} is unknown`);
    // Of several entries for one name the first stands.
    if (!out.has(name)) out.set(name, { name, match: { type: type === "Exact" ? "exact" : "regex", value: h.value } });
  }
  return ok([...out.values()]);
};

export const compileMatch = (m: HttpRouteMatch): Result<RouteMatch> => {
  const headers = valueMatches(m.headers, (n) => n.toLowerCase());
  const queryParams = valueMatches(m.queryParams, (n) => n);
  if (!headers.ok) return headers;
  if (!queryParams.ok) return queryParams;
  const rest = { method: m.method, headers: headers.value, queryParams: queryParams.value };
  const value = m.path?.value ?? "/";
  switch (m.path?.type ?? "PathPrefix") {
    case "PathPrefix":
      // A trailing slash says nothing; "/" alone is every path, as if none were asked for.
      return ok({ ...rest, path: { type: "prefix", value: value.length > 1 ? value.replace(/\/+$/, "") : value } });
    case "Exact":
      return ok({ ...rest, path: { type: "exact", value } });
    case "RegularExpression":
      return ok({ ...rest, path: { type: "regex", value } });
    default:
      return err(`path match type ${JSON.stringify(m.path?.type)} is unknown`);
  }
};

/** "0s" turns a timeout off. */
const timeout = (text: string | undefined): Result<number | undefined> => {
  if (text === undefined) return ok(undefined);
  const ms = gatewayDurationMs(text);
  return ms.ok ? ok(ms.value === 0 ? undefined : ms.value) : ms;
};

const retryPolicy = (rule: HttpRouteRule): Result<RetryPolicy> => {
  const r = rule.retry;
  if (r === undefined) return ok(DEFAULT_RETRY);
  const backoff = r.backoff === undefined ? ok(DEFAULT_RETRY.backoffMs) : gatewayDurationMs(r.backoff);
  if (!backoff.ok) return backoff;
  return ok({ attempts: r.attempts ?? DEFAULT_RETRY.attempts, codes: r.codes ?? [], backoffMs: backoff.value });
};

/** The Service behind a reference, or why its share is answered 500. Mesh routes need no ReferenceGrant (GEP-1294). */
const targetOf = (ref: BackendRef, { route, services, problems }: Pick<RuleContext, "route" | "services" | "problems">): BackendTarget => {
  const invalid = (list: string[], reason: string): BackendTarget => {
    if (!list.includes(reason)) list.push(reason);
    return { kind: "invalid", reason };
  };
  const group = ref.group ?? "";
  const kind = ref.kind ?? "Service";
  if ((group !== "" && group !== "core") || kind !== "Service")
    return invalid(problems.kinds, `backend kind ${group === "" ? kind : `${kind}.${group}`} is not supported: use a Service`);
  const key = `${ref.namespace ?? route.metadata.namespace ?? ""}/${ref.name}`;
  const service = services(key);
  if (service === undefined) return invalid(problems.missing, `backend Service ${key} does not exist`);
  if (ref.port === undefined) return invalid(problems.missing, `backend Service ${key} is named without a port`);
  if (!service.ports.some((p) => p.port === ref.port)) return invalid(problems.missing, `backend Service ${key} has no port ${ref.port}`);
  return { kind: "service", namespace: service.namespace, hostname: service.hostname, port: ref.port };
};

/** A backend's own filters: only header edits make sense after the choice. */
const compileBackend = (ref: BackendRef, context: RuleContext): WeightedBackend => ({
  weight: ref.weight ?? 1,
  target: targetOf(ref, context),
  filters: (ref.filters ?? []).map((f) => {
    const filter = toFilter(f, { prefix: undefined, backend: (r) => targetOf(r, context) });
    if (filter.kind === "request-headers" || filter.kind === "response-headers") return filter;
    const reason = filter.kind === "unsupported" ? filter.reason : `filter ${f.type} is not supported on a backend`;
    context.problems.unsupported.push(`rule ${context.ruleIndex}: ${reason}`);
    return { kind: "unsupported", reason };
  }),
});
