import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { parse, parseAllDocuments } from "yaml";
import { at, type JsonObject, objects } from "../model/object.ts";
import { crdSchema } from "./crd.ts";
import { admit } from "./validate.ts";

// Objects as the documentation of the Gateway API and Istio writes them: each must be accepted whole, with no field unknown.

const DIRECTORY = new URL("../../../../../deploy/crds/", import.meta.url);
const crds: readonly JsonObject[] = readdirSync(DIRECTORY)
  .filter((name) => name !== "kustomization.yaml")
  .map((name) => parse(readFileSync(new URL(name, DIRECTORY), "utf8")));

const SAMPLES = `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: istio-waypoint}
spec: {controllerName: istio.io/mesh-controller, description: waypoints}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ingress}
spec:
  gatewayClassName: istio
  addresses: [{type: Hostname, value: a.example}]
  infrastructure: {labels: {a: b}, annotations: {c: d}}
  listeners:
  - name: https
    hostname: "*.example.com"
    port: 443
    protocol: HTTPS
    tls: {mode: Terminate, certificateRefs: [{name: cert}]}
    allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {a: b}}}, kinds: [{kind: HTTPRoute}]}
  - {name: tls, port: 8443, protocol: TLS, tls: {mode: Passthrough}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: all}
spec:
  hostnames: [a.example.com]
  parentRefs: [{name: ingress, sectionName: https}, {group: "", kind: Service, name: web, port: 80}]
  rules:
  - name: first
    matches:
    - path: {type: Exact, value: /a}
      headers: [{name: x, value: "1"}, {name: y, type: RegularExpression, value: "a.*"}]
      queryParams: [{name: q, value: v}]
      method: GET
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier: {set: [{name: a, value: b}], add: [{name: c, value: d}], remove: [e]}
    - type: ResponseHeaderModifier
      responseHeaderModifier: {set: [{name: a, value: b}]}
    - type: RequestMirror
      requestMirror: {backendRef: {name: m, port: 80}, percent: 50}
    - type: URLRewrite
      urlRewrite: {hostname: b.example, path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}
    timeouts: {request: 10s, backendRequest: 2s}
    retry: {codes: [503], attempts: 2, backoff: 100ms}
    sessionPersistence: {sessionName: s, type: Cookie}
    backendRefs: [{name: v1, port: 80, weight: 1, filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [x]}}]}]
  - filters:
    - type: RequestRedirect
      requestRedirect: {scheme: https, port: 443, statusCode: 301, path: {type: ReplaceFullPath, replaceFullPath: /x}}
status:
  parents:
  - controllerName: istio.io/gateway-controller
    parentRef: {name: ingress}
    conditions: [{type: Accepted, status: "True", reason: Accepted, message: "", lastTransitionTime: "2024-01-01T00:00:00Z", observedGeneration: 1}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: g}
spec:
  parentRefs: [{name: ingress}]
  rules: [{matches: [{method: {service: a.B, method: C}, headers: [{name: x, value: y}]}], backendRefs: [{name: v, port: 90}]}]
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: {name: t}
spec: {parentRefs: [{name: ingress, sectionName: tcp}], rules: [{backendRefs: [{name: v, port: 90}]}]}
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TLSRoute
metadata: {name: t}
spec: {hostnames: [a.example], parentRefs: [{name: ingress}], rules: [{backendRefs: [{name: v, port: 90}]}]}
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: r}
spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: a}], to: [{group: "", kind: Service}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: b}
spec:
  targetRefs: [{group: "", kind: Service, name: s, sectionName: https}]
  validation: {hostname: a.example, caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: viewer}
spec:
  targetRefs: [{group: "", kind: Service, name: reviews}]
  action: ALLOW
  rules:
  - from:
    - source: {principals: [cluster.local/ns/a/sa/b], notNamespaces: [c], ipBlocks: [10.0.0.0/8], requestPrincipals: ["*"]}
    to:
    - operation: {methods: [GET], paths: ["/a*"], hosts: [x], ports: ["80"], notPaths: [/admin]}
    when:
    - {key: "request.headers[x]", values: ["1"], notValues: ["2"]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: custom}
spec: {selector: {matchLabels: {app: a}}, action: CUSTOM, provider: {name: ext}, rules: [{}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: allow-nothing}
spec: {}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {selector: {matchLabels: {app: a}}, mtls: {mode: STRICT}, portLevelMtls: {"8080": {mode: DISABLE}}}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: jwt}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: waypoint}]
  jwtRules:
  - issuer: a
    jwksUri: https://a.example/jwks
    audiences: [x]
    fromHeaders: [{name: Authorization, prefix: "Bearer "}]
    fromParams: [token]
    forwardOriginalToken: true
    outputClaimToHeaders: [{header: x-a, claim: sub}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  gateways: [mesh]
  exportTo: ["."]
  http:
  - name: r
    match: [{uri: {prefix: /a}, headers: {end-user: {exact: jason}}, method: {regex: "GET|PUT"}, queryParams: {q: {exact: "1"}}, port: 80, ignoreUriCase: true}]
    rewrite: {uri: /b, authority: x}
    route: [{destination: {host: reviews, subset: v1, port: {number: 80}}, weight: 90, headers: {request: {set: {a: b}, remove: [c]}}}, {destination: {host: reviews, subset: v2}, weight: 10}]
    timeout: 10s
    retries: {attempts: 3, perTryTimeout: 2s, retryOn: "5xx"}
    fault: {delay: {percentage: {value: 0.1}, fixedDelay: 5s}, abort: {httpStatus: 400, percentage: {value: 1}}}
    mirror: {host: m}
    mirrorPercentage: {value: 10}
    corsPolicy: {allowOrigins: [{exact: "https://a"}], allowMethods: [GET], maxAge: 24h}
  - redirect: {uri: /x, redirectCode: 302}
  tcp: [{match: [{port: 90}], route: [{destination: {host: t, port: {number: 90}}}]}]
  tls: [{match: [{port: 443, sniHosts: [a]}], route: [{destination: {host: t}}]}]
---
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: 10, connectTimeout: 30ms, tcpKeepalive: {time: 7200s}}, http: {http1MaxPendingRequests: 1, maxRequestsPerConnection: 10, h2UpgradePolicy: UPGRADE}}
    loadBalancer: {consistentHash: {httpCookie: {name: user, ttl: 0s}}, localityLbSetting: {enabled: true, failoverPriority: [topology.kubernetes.io/region]}}
    outlierDetection: {consecutive5xxErrors: 7, interval: 5m, baseEjectionTime: 15m, maxEjectionPercent: 50}
    tls: {mode: ISTIO_MUTUAL, sni: a}
    portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: LEAST_REQUEST}}]
  subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ext}
spec:
  hosts: [a.example]
  addresses: [240.0.0.1]
  location: MESH_EXTERNAL
  resolution: DNS
  ports: [{number: 443, name: https, protocol: TLS, targetPort: 8443}]
  endpoints: [{address: 1.2.3.4, ports: {https: 443}, labels: {a: b}, locality: r/z, weight: 1, network: n}]
  exportTo: ["*"]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm}
spec: {address: 1.2.3.4, labels: {app: a}, serviceAccount: s, ports: {http: 80}, network: n, locality: r, weight: 1}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: s}
spec: {workloadSelector: {labels: {a: b}}, egress: [{hosts: ["./*"]}], outboundTrafficPolicy: {mode: REGISTRY_ONLY}, ingress: [{port: {number: 80, protocol: HTTP, name: h}, defaultEndpoint: "127.0.0.1:80"}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: g}
spec: {selector: {istio: ingress}, servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: c}}]}
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: t}
spec:
  accessLogging: [{providers: [{name: envoy}], filter: {expression: "response.code >= 400"}}]
  metrics: [{providers: [{name: prometheus}], overrides: [{match: {metric: REQUEST_COUNT, mode: CLIENT}, tagOverrides: {a: {operation: UPSERT, value: "x"}}}]}]
  tracing: [{randomSamplingPercentage: 10.5, customTags: {a: {literal: {value: b}}}}]
---
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: w}
spec: {url: oci://a, phase: AUTHN, pluginConfig: {any: {thing: [1]}}, match: [{mode: CLIENT, ports: [{number: 80}]}], selector: {matchLabels: {a: b}}}
`;

for (const document of parseAllDocuments(SAMPLES)) {
  const object: JsonObject = document.toJS();
  const [group, version] = String(object.apiVersion).split("/");
  test(`${object.kind} ${group}/${version} ${String(at(object, "metadata", "name"))}`, () => {
    const crd =
      crds.find((c) => at(c, "spec", "group") === group && at(c, "spec", "names", "kind") === object.kind) ?? assert.fail("no such CRD");
    assert.ok(objects(at(crd, "spec", "versions")).some((v) => v.name === version));
    const { causes, unknownFields } = admit(crdSchema(crd, version ?? ""), object, "strict");
    assert.deepEqual({ causes, unknownFields }, { causes: [], unknownFields: [] });
  });
}
