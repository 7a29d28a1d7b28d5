// What does a waypoint know of a service it owns? Written by the controller, read by the waypoint (ambit.waypoint.v1.Service).

import type { Policy } from "../authz/types.ts";
import type { NetworkAddress } from "../state/types.ts";

/** A service as its waypoint sees it: identity, addresses, and per port what to do. */
export type WaypointService = {
  readonly namespace: string;
  readonly hostname: string;
  /** The short name, for telemetry. */
  readonly name: string;
  readonly addresses: readonly NetworkAddress[];
  readonly ports: readonly WaypointPort[];
  /** Policies attached to the service, its Gateway or the GatewayClass, in no order that matters. */
  readonly policies: readonly Policy[];
  /** Names of attached policies that could not be compiled: while any is here the service denies everything. */
  readonly brokenPolicies: readonly BrokenPolicy[];
};

export type BrokenPolicy = { readonly key: string; readonly reason: string };

/** AUTO: look at the first bytes. */
export type WaypointProtocol = "HTTP" | "HTTP2" | "GRPC" | "TCP" | "TLS" | "AUTO";

export type WaypointPort = {
  readonly port: number;
  readonly name: string;
  readonly protocol: WaypointProtocol;
  /** True when any route is attached: then a request that matches none is answered 404. */
  readonly routed: boolean;
  /** In order of precedence: the first match wins. Consumer rules hold only for callers of their namespace. */
  readonly rules: readonly RouteRule[];
  readonly tcpBackends: readonly WeightedBackend[];
};

export type RouteRule = {
  /** "HTTPRoute/ns/name", for explain and the access log. */
  readonly route: string;
  /** Rule index in the route, and match index in the rule; or the rule's own name. */
  readonly rule: string;
  /** Producer rules have none; a consumer rule holds for callers of this namespace only, and then hides the producers'. */
  readonly consumerNamespace: string | undefined;
  readonly match: RouteMatch;
  readonly filters: readonly Filter[];
  readonly backends: readonly WeightedBackend[];
  /** Whole exchange, retries included; undefined: none. */
  readonly requestTimeoutMs: number | undefined;
  /** One attempt. */
  readonly backendTimeoutMs: number | undefined;
  readonly retry: RetryPolicy;
};

export type ValueMatch = { readonly type: "exact"; readonly value: string } | { readonly type: "regex"; readonly value: string };
/** prefix is by path element ("/abc" matches "/abc/d", not "/abcd"); regex must match the whole path. */
export type PathMatch = { readonly type: "exact" | "prefix" | "regex"; readonly value: string };
export type RouteMatch = {
  readonly path: PathMatch | undefined;
  readonly method: string | undefined;
  /** Lower-case names. */
  readonly headers: readonly { readonly name: string; readonly match: ValueMatch }[];
  readonly queryParams: readonly { readonly name: string; readonly match: ValueMatch }[];
};

export type HeaderEdits = {
  readonly set: readonly NameValue[];
  readonly add: readonly NameValue[];
  readonly remove: readonly string[];
};
export type NameValue = { readonly name: string; readonly value: string };
export type PathRewrite =
  | { readonly type: "full"; readonly value: string }
  | { readonly type: "prefix"; readonly prefix: string; readonly value: string };

export type Filter =
  | { readonly kind: "request-headers"; readonly edits: HeaderEdits }
  | { readonly kind: "response-headers"; readonly edits: HeaderEdits }
  | {
      readonly kind: "redirect";
      readonly scheme: string | undefined;
      readonly hostname: string | undefined;
      readonly port: number | undefined;
      readonly path: PathRewrite | undefined;
      readonly status: number;
    }
  | { readonly kind: "rewrite"; readonly hostname: string | undefined; readonly path: PathRewrite | undefined }
  /** percent of requests (0 to 100) whose copy goes to the backend; answers are thrown away. */
  | { readonly kind: "mirror"; readonly backend: BackendTarget; readonly percent: number }
  /** A filter that may not be skipped and is not understood: the request fails with 500. */
  | { readonly kind: "unsupported"; readonly reason: string };

export type BackendTarget =
  | { readonly kind: "service"; readonly namespace: string; readonly hostname: string; readonly port: number }
  /** Its share of requests is answered 500. */
  | { readonly kind: "invalid"; readonly reason: string };

export type WeightedBackend = { readonly weight: number; readonly target: BackendTarget; readonly filters: readonly Filter[] };

export type RetryPolicy = {
  /** Further attempts after the first; 0 turns retries off. */
  readonly attempts: number;
  /** Statuses that are retried besides connect failure, refused stream and reset before the answer. */
  readonly codes: readonly number[];
  readonly backoffMs: number;
};

/** Istio's default (waypoint-l7 section 3.3): two more attempts on failures before the answer, base interval 25 ms; 503 from a server that did answer is not retried (unsafe). */
export const DEFAULT_RETRY: RetryPolicy = { attempts: 2, codes: [], backoffMs: 25 };
