// What is to be done with a request, and why? (start reading here: match, filters, backend, in one pure step)

import type { MeshErrorCode } from "@ambit/shared/errors/codes.ts";
import {
  type BackendTarget,
  DEFAULT_RETRY,
  type HeaderEdits,
  type RetryPolicy,
  type RouteRule,
  type WaypointPort,
  type WaypointService,
  type WeightedBackend,
} from "@ambit/shared/route/types.ts";
import { serviceKey } from "@ambit/shared/state/types.ts";
import { applyFilters, type EditedRequest, type Filtered, type MirrorOrder } from "./filter.ts";
import { type MatchContext, matchRoute, type RoutedRequest, type Trail } from "./match.ts";
import { pickBackend } from "./pick.ts";

export type ServiceTarget = Extract<BackendTarget, { kind: "service" }>;

export type ForwardPlan = {
  readonly kind: "forward";
  readonly rule: RouteRule | undefined;
  readonly request: EditedRequest;
  readonly backend: ServiceTarget;
  readonly responseEdits: readonly HeaderEdits[];
  readonly mirrors: readonly MirrorOrder[];
  readonly retry: RetryPolicy;
  readonly requestTimeoutMs: number | undefined;
  readonly backendTimeoutMs: number | undefined;
};

export type RequestPlan =
  | ForwardPlan
  | {
      readonly kind: "redirect";
      readonly rule: RouteRule;
      readonly status: number;
      readonly location: string;
      readonly responseEdits: readonly HeaderEdits[];
    }
  | { readonly kind: "fail"; readonly rule: RouteRule | undefined; readonly code: MeshErrorCode; readonly detail: string };

export type PlanInput = {
  readonly service: WaypointService;
  readonly port: WaypointPort;
  readonly request: EditedRequest & RoutedRequest_;
  readonly context: MatchContext;
  /** Uniform in [0, 1): which share of the weights. */
  readonly random: number;
};
type RoutedRequest_ = Pick<RoutedRequest, "method" | "header">;

export type PlannedRequest = { readonly plan: RequestPlan; readonly trail: Trail };

const fail = (rule: RouteRule | undefined, code: MeshErrorCode, detail: string): RequestPlan => ({ kind: "fail", rule, code, detail });

const ownBackend = (s: WaypointService, p: WaypointPort): ServiceTarget => ({
  kind: "service",
  namespace: s.namespace,
  hostname: s.hostname,
  port: p.port,
});

const notForwarded = (rule: RouteRule, f: Exclude<Filtered, { kind: "forward" }>): RequestPlan =>
  f.kind === "redirect"
    ? { kind: "redirect", rule, status: f.status, location: f.location, responseEdits: f.responseEdits }
    : fail(rule, "INVALID_BACKEND", `a filter of ${rule.route} is not supported: ${f.reason}`);

const toBackend = (rule: RouteRule, chosen: WeightedBackend, before: Extract<Filtered, { kind: "forward" }>, port: number): RequestPlan => {
  if (chosen.target.kind === "invalid")
    return fail(rule, "INVALID_BACKEND", `${rule.route} names a backend that cannot be used: ${chosen.target.reason}`);
  const after = applyFilters(chosen.filters, before.request, port);
  if (after.kind !== "forward") return notForwarded(rule, after);
  return {
    kind: "forward",
    rule,
    request: after.request,
    backend: chosen.target,
    responseEdits: [...before.responseEdits, ...after.responseEdits],
    mirrors: [...before.mirrors, ...after.mirrors],
    retry: rule.retry,
    requestTimeoutMs: rule.requestTimeoutMs,
    backendTimeoutMs: rule.backendTimeoutMs,
  };
};

const byRule = (rule: RouteRule, i: PlanInput): RequestPlan => {
  const filtered = applyFilters(rule.filters, i.request, i.port.port);
  if (filtered.kind !== "forward") return notForwarded(rule, filtered);
  const chosen = pickBackend(rule.backends, i.random);
  return chosen === undefined
    ? fail(rule, "INVALID_BACKEND", `${rule.route} has no backend with a weight above 0`)
    : toBackend(rule, chosen, filtered, i.port.port);
};

const unrouted = (i: PlanInput): RequestPlan => ({
  kind: "forward",
  rule: undefined,
  request: i.request,
  backend: ownBackend(i.service, i.port),
  responseEdits: [],
  mirrors: [],
  retry: DEFAULT_RETRY,
  requestTimeoutMs: undefined,
  backendTimeoutMs: undefined,
});

export const planRequest = (i: PlanInput): PlannedRequest => {
  const routed: RoutedRequest = {
    method: i.request.method,
    header: i.request.header,
    path: i.request.path.path,
    query: i.request.path.query,
  };
  const found = matchRoute(i.port, routed, i.context);
  switch (found.kind) {
    case "unrouted":
      return { plan: unrouted(i), trail: [] };
    case "no-match":
      return {
        plan: fail(undefined, "ROUTE_NOT_FOUND", `no route of ${serviceKey(i.service)}:${i.port.port} matches`),
        trail: found.trail,
      };
    case "rule":
      return { plan: byRule(found.rule, i), trail: found.trail };
  }
};
