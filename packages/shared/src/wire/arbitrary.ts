// Which values may a round-trip test take? (fast-check generators of the domain types; used by tests only)

import fc from "fast-check";
import { cidrOf } from "../addr/cidr.ts";
import { ipFromBytes } from "../addr/ip.ts";
import type { HeaderMatch, Match, Policy, StringMatch } from "../authz/types.ts";
import type { BackendTarget, Filter, PathRewrite, RouteRule, ValueMatch, WaypointService, WeightedBackend } from "../route/types.ts";
import { unwrap } from "../runtime/result.ts";
import type { AppProtocol, GatewayAddress, LoadBalancingScope, Port, Service, Workload } from "../state/types.ts";
import type { JsonObject } from "./types.ts";

/** Plain objects, as the decoders make them. */
export const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> => fc.record<T>(model, { noNullPrototype: true });

const text = fc.string({ maxLength: 12, unit: "grapheme" });
const name = fc.string({ minLength: 1, maxLength: 12 });
const port = fc.integer({ min: 0, max: 65535 });
const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const few = <T>(a: fc.Arbitrary<T>) => fc.array(a, { maxLength: 3 });
const maybe = <T>(a: fc.Arbitrary<T>) => fc.option(a, { nil: undefined });

export const anyIp = fc
  .oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
  .map((b) => unwrap(ipFromBytes(b)));
const anyCidr = fc.tuple(anyIp, fc.integer({ min: 0, max: 128 })).map(([ip, n]) => unwrap(cidrOf(ip, ip.includes(":") ? n : n % 33)));
const anyPort: fc.Arbitrary<Port> = record({
  servicePort: port,
  targetPort: port,
  appProtocol: fc.constantFrom<AppProtocol[]>("UNKNOWN", "HTTP11", "HTTP2", "GRPC", "TCP", "TLS"),
});
const anyGateway: fc.Arbitrary<GatewayAddress> = record({
  destination: fc.oneof(
    record({ kind: fc.constant("hostname" as const), namespace: text, hostname: name }),
    record({ kind: fc.constant("address" as const), network: text, ip: anyIp }),
  ),
  hboneMtlsPort: port,
});

export const anyWorkload: fc.Arbitrary<Workload> = record({
  uid: name,
  name: text,
  namespace: text,
  addresses: few(anyIp),
  network: text,
  tunnelProtocol: fc.constantFrom("NONE" as const, "HBONE" as const),
  trustDomain: fc.oneof(name, fc.constant("cluster.local")),
  serviceAccount: fc.oneof(name, fc.constant("default")),
  waypoint: maybe(anyGateway),
  node: text,
  canonicalName: text,
  canonicalRevision: text,
  workloadType: fc.constantFrom("DEPLOYMENT" as const, "CRONJOB" as const, "POD" as const, "JOB" as const),
  workloadName: text,
  nativeTunnel: fc.boolean(),
  authorizationPolicies: few(text),
  status: fc.constantFrom("HEALTHY" as const, "UNHEALTHY" as const),
  clusterId: name,
  networkGateway: maybe(anyGateway),
  hostname: text,
  services: fc.dictionary(name, few(anyPort), { noNullPrototype: true }),
  applicationTunnel: maybe(record({ protocol: fc.constantFrom("NONE" as const, "PROXY" as const), port })),
  locality: record({ region: text, zone: text, subzone: text }),
  networkMode: fc.constantFrom("STANDARD" as const, "HOST_NETWORK" as const),
  capacity: uint32,
});

export const anyService: fc.Arbitrary<Service> = record({
  name: text,
  namespace: name,
  hostname: name,
  addresses: few(record({ network: text, ip: anyIp })),
  cidrs: few(record({ network: text, cidr: anyCidr })),
  ports: few(anyPort),
  subjectAltNames: few(text),
  waypoint: maybe(anyGateway),
  weightedWaypoints: few(record({ destination: anyGateway, weight: uint32 })),
  loadBalancing: maybe(
    record({
      routingPreference: few(fc.constantFrom<LoadBalancingScope[]>("REGION", "ZONE", "SUBZONE", "NODE", "CLUSTER", "NETWORK")),
      mode: fc.constantFrom("UNSPECIFIED_MODE" as const, "STRICT" as const, "FAILOVER" as const, "PASSTHROUGH" as const),
      healthPolicy: fc.constantFrom("ONLY_HEALTHY" as const, "ALLOW_ALL" as const),
    }),
  ),
  ipFamilies: fc.constantFrom("AUTOMATIC" as const, "IPV4_ONLY" as const, "IPV6_ONLY" as const, "DUAL" as const),
  canonical: fc.boolean(),
  ingressUseWaypoint: fc.boolean(),
  visibility: fc.constantFrom("PUBLIC" as const, "NAMESPACE" as const),
}).chain((service) =>
  maybe(
    record({ required: fc.boolean(), missing: text, uncaptured: fc.constantFrom("allow" as const, "refuse" as const, "hairpin" as const) }),
  ).map((waypointRules) => (waypointRules === undefined ? service : { ...service, waypointRules })),
);

const anyValueString = (kinds: readonly ("exact" | "prefix" | "suffix" | "template")[]): fc.Arbitrary<StringMatch> =>
  fc.oneof(record({ kind: fc.constantFrom(...kinds), value: text }), fc.constant({ kind: "presence" as const }));
const l4String = anyValueString(["exact", "prefix", "suffix"]);
const l7String = anyValueString(["exact", "prefix", "suffix", "template"]);
const account = record({ namespace: name, serviceAccount: name });
const anyHeader: fc.Arbitrary<HeaderMatch> = record({ name, values: few(l7String), notValues: few(l7String) });

const anyMatch = (strings: fc.Arbitrary<StringMatch>, http: boolean): fc.Arbitrary<Match> => {
  const l7 = http ? few(strings) : fc.constant([]);
  return record({
    namespaces: few(strings),
    notNamespaces: few(strings),
    principals: few(strings),
    notPrincipals: few(strings),
    serviceAccounts: few(account),
    notServiceAccounts: few(account),
    sourceIps: few(anyCidr),
    notSourceIps: few(anyCidr),
    destinationIps: few(anyCidr),
    notDestinationIps: few(anyCidr),
    destinationPorts: few(port),
    notDestinationPorts: few(port),
    hosts: l7,
    notHosts: l7,
    methods: l7,
    notMethods: l7,
    paths: l7,
    notPaths: l7,
    headers: http ? few(anyHeader) : fc.constant([]),
  });
};

const anyPolicyOf = (match: fc.Arbitrary<Match>): fc.Arbitrary<Policy> =>
  record({
    namespace: text,
    name,
    scope: fc.constantFrom("GLOBAL" as const, "NAMESPACE" as const, "WORKLOAD_SELECTOR" as const),
    action: fc.constantFrom("ALLOW" as const, "DENY" as const),
    dryRun: fc.boolean(),
    rules: few(record({ clauses: few(record({ matches: few(match) })) })),
  });
export const anyL4Policy = anyPolicyOf(anyMatch(l4String, false));
const anyPolicy = anyPolicyOf(anyMatch(l7String, true));

const pair = record({ name, value: text });
const edits = record({ set: few(pair), add: few(pair), remove: few(name) });
const anyPath: fc.Arbitrary<PathRewrite> = fc.oneof(
  record({ type: fc.constant("full" as const), value: text }),
  record({ type: fc.constant("prefix" as const), prefix: text, value: text }),
);
const anyTarget: fc.Arbitrary<BackendTarget> = fc.oneof(
  record({ kind: fc.constant("service" as const), namespace: name, hostname: name, port }),
  record({ kind: fc.constant("invalid" as const), reason: text }),
);
const anyFilter: fc.Arbitrary<Filter> = fc.oneof(
  record({ kind: fc.constantFrom("request-headers" as const, "response-headers" as const), edits }),
  record({
    kind: fc.constant("redirect" as const),
    scheme: maybe(text),
    hostname: maybe(text),
    port: maybe(port),
    path: maybe(anyPath),
    status: fc.constantFrom(301, 302, 303, 307, 308),
  }),
  record({ kind: fc.constant("rewrite" as const), hostname: maybe(text), path: maybe(anyPath) }),
  record({ kind: fc.constant("mirror" as const), backend: anyTarget, percent: fc.double({ min: 0, max: 100, noNaN: true }) }),
  record({ kind: fc.constant("unsupported" as const), reason: text }),
);
const anyBackend: fc.Arbitrary<WeightedBackend> = record({ weight: uint32, target: anyTarget, filters: few(anyFilter) });
const named = record({
  name,
  match: record({ type: fc.constantFrom<ValueMatch["type"][]>("exact", "regex"), value: text }) as fc.Arbitrary<ValueMatch>,
});
const anyRule: fc.Arbitrary<RouteRule> = record({
  route: text,
  rule: text,
  consumerNamespace: maybe(text),
  match: record({
    path: maybe(record({ type: fc.constantFrom("exact" as const, "prefix" as const, "regex" as const), value: text })),
    method: maybe(text),
    headers: few(named),
    queryParams: few(named),
  }),
  filters: few(anyFilter),
  backends: few(anyBackend),
  requestTimeoutMs: maybe(uint32),
  backendTimeoutMs: maybe(uint32),
  retry: record({ attempts: uint32, codes: few(uint32), backoffMs: uint32 }),
});

export const anyWaypointService: fc.Arbitrary<WaypointService> = record({
  namespace: name,
  hostname: name,
  name: text,
  addresses: few(record({ network: text, ip: anyIp })),
  ports: few(
    record({
      port,
      name: text,
      protocol: fc.constantFrom("HTTP" as const, "HTTP2" as const, "GRPC" as const, "TCP" as const, "TLS" as const, "AUTO" as const),
      routed: fc.boolean(),
      rules: few(anyRule),
      tcpBackends: few(anyBackend),
    }),
  ),
  policies: few(anyPolicy),
  brokenPolicies: few(record({ key: text, reason: text })),
});

export const anyMetadata: fc.Arbitrary<JsonObject> = fc
  .dictionary(name, fc.jsonValue({ maxDepth: 2 }), { noNullPrototype: true })
  .map((o) => JSON.parse(JSON.stringify(o)) as JsonObject);
