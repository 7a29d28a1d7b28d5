// What do the objects of the Gateway API look like, as far as we read them? (unknown fields stay in the values, untyped)

import type { Condition, KubeObject, LabelSelector, Labels, ObjectReference } from "./meta.ts";
import type { HttpHeader } from "./pod.ts";

export type GatewayClass = KubeObject & {
  readonly spec: {
    readonly controllerName: string;
    readonly parametersRef?: ObjectReference & { readonly group?: string };
    readonly description?: string;
  };
  readonly status?: { readonly conditions?: readonly Condition[]; readonly supportedFeatures?: readonly unknown[] };
};
export type RouteNamespaces = { readonly from?: string; readonly selector?: LabelSelector };
export type GatewayListener = {
  readonly name: string;
  readonly hostname?: string;
  readonly port: number;
  readonly protocol: string;
  readonly tls?: unknown;
  readonly allowedRoutes?: {
    readonly namespaces?: RouteNamespaces;
    readonly kinds?: readonly { readonly group?: string; readonly kind: string }[];
  };
};
export type Gateway = KubeObject & {
  readonly spec: {
    readonly gatewayClassName: string;
    readonly listeners: readonly GatewayListener[];
    readonly addresses?: readonly { readonly type?: string; readonly value?: string }[];
    readonly infrastructure?: {
      readonly labels?: Labels;
      readonly annotations?: Labels;
      readonly parametersRef?: { readonly group: string; readonly kind: string; readonly name: string };
    };
  };
  readonly status?: {
    readonly addresses?: readonly { readonly type?: string; readonly value: string }[];
    readonly conditions?: readonly Condition[];
    readonly listeners?: readonly {
      readonly name: string;
      readonly supportedKinds?: readonly { readonly group?: string; readonly kind: string }[];
      readonly attachedRoutes: number;
      readonly conditions: readonly Condition[];
    }[];
  };
};
export type ParentReference = {
  readonly group?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name: string;
  readonly sectionName?: string;
  readonly port?: number;
};
export type BackendRef = {
  readonly group?: string;
  readonly kind?: string;
  readonly name: string;
  readonly namespace?: string;
  readonly port?: number;
  readonly weight?: number;
  readonly filters?: readonly HttpRouteFilter[];
};
export type HttpHeaderMatch = { readonly type?: string; readonly name: string; readonly value: string };
export type HttpRouteMatch = {
  readonly path?: { readonly type?: string; readonly value?: string };
  readonly headers?: readonly HttpHeaderMatch[];
  readonly queryParams?: readonly HttpHeaderMatch[];
  readonly method?: string;
};
export type HeaderFilter = {
  readonly set?: readonly HttpHeader[];
  readonly add?: readonly HttpHeader[];
  readonly remove?: readonly string[];
};
export type PathModifier = { readonly type: string; readonly replaceFullPath?: string; readonly replacePrefixMatch?: string };
export type HttpRouteFilter = {
  readonly type: string;
  readonly requestHeaderModifier?: HeaderFilter;
  readonly responseHeaderModifier?: HeaderFilter;
  readonly requestMirror?: {
    readonly backendRef: BackendRef;
    readonly percent?: number;
    readonly fraction?: { readonly numerator: number; readonly denominator?: number };
  };
  readonly requestRedirect?: {
    readonly scheme?: string;
    readonly hostname?: string;
    readonly path?: PathModifier;
    readonly port?: number;
    readonly statusCode?: number;
  };
  readonly urlRewrite?: { readonly hostname?: string; readonly path?: PathModifier };
  readonly extensionRef?: { readonly group: string; readonly kind: string; readonly name: string };
};
export type HttpRouteRule = {
  readonly name?: string;
  readonly matches?: readonly HttpRouteMatch[];
  readonly filters?: readonly HttpRouteFilter[];
  readonly backendRefs?: readonly BackendRef[];
  readonly timeouts?: { readonly request?: string; readonly backendRequest?: string };
  readonly retry?: { readonly codes?: readonly number[]; readonly attempts?: number; readonly backoff?: string };
};
export type RouteStatus = {
  readonly parents?: readonly {
    readonly parentRef: ParentReference;
    readonly controllerName: string;
    readonly conditions?: readonly Condition[];
  }[];
};
export type HTTPRoute = KubeObject & {
  readonly spec: {
    readonly parentRefs?: readonly ParentReference[];
    readonly hostnames?: readonly string[];
    readonly rules?: readonly HttpRouteRule[];
  };
  readonly status?: RouteStatus;
};
export type ReferenceGrant = KubeObject & {
  readonly spec: {
    readonly from: readonly { readonly group: string; readonly kind: string; readonly namespace: string }[];
    readonly to: readonly { readonly group: string; readonly kind: string; readonly name?: string }[];
  };
};
