// Which defaults and list types do the Gateway API's types have? (the packages' schemas lost them)
//
// Facts of the Gateway API's published CRDs: `// +kubebuilder:default` and `// +listType` of sigs.k8s.io/gateway-api/apis/v1.

import type { ListRule } from "./merge-rules.ts";

const GROUP = "gateway.networking.k8s.io";
const PREFIX_ROOT = { path: { type: "PathPrefix", value: "/" } };

const waiting = (type: string) => ({
  type,
  status: "Unknown",
  reason: "Pending",
  message: "Waiting for controller",
  lastTransitionTime: "1970-01-01T00:00:00Z",
});

const objectReference = (type: string, kind: string) => ({ [`${type}.group`]: "", [`${type}.kind`]: kind });

export const GATEWAY_DEFAULTS: { readonly [field: string]: unknown } = {
  "Gateway.status": { conditions: [waiting("Accepted"), waiting("Programmed")] },
  "GatewayStatus.conditions": [waiting("Accepted"), waiting("Programmed")],
  "GatewayClass.status": { conditions: [waiting("Accepted")] },
  "GatewayClassStatus.conditions": [waiting("Accepted")],
  "Listener.allowedRoutes": { namespaces: { from: "Same" } },
  "AllowedRoutes.namespaces": { from: "Same" },
  "RouteNamespaces.from": "Same",
  "RouteGroupKind.group": GROUP,
  "ListenerTLSConfig.mode": "Terminate",
  "AllowedListeners.namespaces": { from: "None" },
  "ListenerNamespaces.from": "None",
  "FrontendTLSValidation.mode": "AllowValidOnly",
  "GatewaySpecAddress.type": "IPAddress",
  "GatewayStatusAddress.type": "IPAddress",
  ...objectReference("SecretObjectReference", "Secret"),
  "ParentReference.group": GROUP,
  "ParentReference.kind": "Gateway",
  ...objectReference("BackendObjectReference", "Service"),
  ...objectReference("BackendRef", "Service"),
  ...objectReference("HTTPBackendRef", "Service"),
  ...objectReference("GRPCBackendRef", "Service"),
  "BackendRef.weight": 1,
  "HTTPBackendRef.weight": 1,
  "GRPCBackendRef.weight": 1,
  "HTTPRouteSpec.rules": [{ matches: [PREFIX_ROOT] }],
  "HTTPRouteRule.matches": [PREFIX_ROOT],
  "HTTPRouteMatch.path": PREFIX_ROOT.path,
  "HTTPPathMatch.type": "PathPrefix",
  "HTTPPathMatch.value": "/",
  "HTTPHeaderMatch.type": "Exact",
  "HTTPQueryParamMatch.type": "Exact",
  "HTTPRequestRedirectFilter.statusCode": 302,
  "HTTPCORSFilter.maxAge": 5,
  "Fraction.denominator": 100,
  "SessionPersistence.type": "Cookie",
  "CookieConfig.lifetimeType": "Session",
  "GRPCHeaderMatch.type": "Exact",
  "GRPCMethodMatch.type": "Exact",
};

const map = (...keys: string[]): ListRule => ({ type: "map", keys });
const SET: ListRule = { type: "set" };

export const GATEWAY_LISTS: { readonly [field: string]: ListRule } = {
  "GatewayClassStatus.conditions": map("type"),
  "GatewayClassStatus.supportedFeatures": map("name"),
  "GatewaySpec.listeners": map("name"),
  "GatewayStatus.conditions": map("type"),
  "GatewayStatus.listeners": map("name"),
  "ListenerStatus.conditions": map("type"),
  "FrontendTLSConfig.perPort": map("port"),
  "HTTPRouteMatch.headers": map("name"),
  "HTTPRouteMatch.queryParams": map("name"),
  "HTTPHeaderFilter.add": map("name"),
  "HTTPHeaderFilter.set": map("name"),
  "HTTPHeaderFilter.remove": SET,
  "HTTPCORSFilter.allowOrigins": SET,
  "HTTPCORSFilter.allowMethods": SET,
  "HTTPCORSFilter.allowHeaders": SET,
  "HTTPCORSFilter.exposeHeaders": SET,
  "HTTPAuthConfig.allowedHeaders": SET,
  "HTTPAuthConfig.allowedResponseHeaders": SET,
  "GRPCAuthConfig.allowedHeaders": SET,
  "GRPCRouteMatch.headers": map("name"),
  "RouteParentStatus.conditions": map("type"),
  "PolicyAncestorStatus.conditions": map("type"),
};
