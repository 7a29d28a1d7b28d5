// The cases of ztunnel's outbound.rs (build_request_*) by their names, and our own beside them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSocketAddr } from "@ambit/shared/addr/socket.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { aPort, aService, aWorkload, ip, waypointByHost, waypointByIp } from "@ambit/shared/state/fixtures.ts";
import { createMeshStore } from "@ambit/shared/state/store.ts";
import type { Service, Workload } from "@ambit/shared/state/types.ts";
import { planOutbound } from "./plan.ts";
import type { OutboundPlan } from "./types.ts";

const SOURCE = aWorkload("source", "127.0.0.1", { node: "local-node" });

/** What a case compares of a plan: identities as text, the trail as names. */
const seen = (plan: OutboundPlan) => {
  const { found, service, workload, port: _port, candidates: _candidates, ...rest } = plan;
  return {
    ...rest,
    ...("expect" in rest ? { expect: rest.expect.map((id) => id.uri) } : {}),
    ...("outer" in rest ? { outer: rest.outer.map((id) => id.uri), inner: rest.inner.map((id) => id.uri) } : {}),
    ...(plan.kind === "reject" ? {} : { to: "to" in rest ? `${rest.to.ip}:${rest.to.port}` : undefined }),
    ...("via" in rest ? { via: `${rest.via.ip}:${rest.via.port}` } : {}),
    ...("gateway" in rest ? { gateway: `${rest.gateway.ip}:${rest.gateway.port}` } : {}),
    found,
    service: service?.name,
    workload: workload?.name,
  };
};

type Case = {
  readonly name: string;
  readonly to: string;
  readonly workloads?: readonly Workload[];
  readonly services?: readonly Service[];
  readonly source?: Workload;
  readonly random?: number;
  readonly tried?: readonly string[];
  readonly resolved?: Readonly<Record<string, string>>;
  readonly egress?: "ALLOW_ANY" | "REGISTRY_ONLY";
  readonly expect: object;
};

const planOf = (c: Case): OutboundPlan => {
  const store = createMeshStore();
  const source = c.source ?? SOURCE;
  store.commit([
    ...(c.services ?? []).map((service) => ({ kind: "service" as const, service })),
    ...[source, ...(c.workloads ?? [])].map((workload) => ({ kind: "workload" as const, workload })),
  ]);
  const tried = new Set((c.tried ?? []).map((name) => `Kubernetes//Pod/ns/${name}`));
  const resolved = new Map(Object.entries(c.resolved ?? {}).map(([name, address]) => [name, ip(address)]));
  return planOutbound(store.view, { source, to: unwrap(parseSocketAddr(c.to)), tried, resolved, egress: c.egress }, () => c.random ?? 0);
};

const id = (sa: string, ns = "ns") => `spiffe://cluster.local/ns/${ns}/sa/${sa}`;
const serving = (...keys: string[]) => ({
  services: Object.fromEntries(keys.map((k) => [`ns/${k}.ns.svc.cluster.local`, [aPort(80, 8080)]])),
});
const plain = { tunnelProtocol: "NONE" } as const;

const waypointPod = aWorkload("waypoint", "127.0.0.10", { serviceAccount: "waypoint-sa" });
const waypointService = aService("waypoint-svc", "127.0.10.1", { ports: [aPort(15008, 15008)] });
const waypointEndpoint = aWorkload("waypoint", "127.0.0.10", {
  serviceAccount: "waypoint-sa",
  services: { "ns/waypoint-svc.ns.svc.cluster.local": [aPort(15008, 15008)] },
});

const cases: readonly Case[] = [
  {
    name: "build_request_unknown_dest",
    to: "1.2.3.4:80",
    expect: {
      kind: "passthrough",
      to: "1.2.3.4:80",
      why: "unknown-destination",
      found: "unknown",
      service: undefined,
      workload: undefined,
    },
  },
  {
    name: "REGISTRY_ONLY: what the mesh does not know is refused, with what to do",
    to: "1.2.3.4:443",
    egress: "REGISTRY_ONLY",
    expect: {
      kind: "reject",
      code: "DENY",
      detail:
        "1.2.3.4:443 is no destination of the mesh, and OUTBOUND_TRAFFIC_POLICY=REGISTRY_ONLY refuses all others: list its host in a ServiceEntry",
      found: "unknown",
      service: undefined,
      workload: undefined,
    },
  },
  {
    name: "REGISTRY_ONLY: a host that a ServiceEntry lists is reached, also by the address its clients resolve themselves (resolution NONE)",
    to: "240.240.0.1:80",
    egress: "REGISTRY_ONLY",
    services: [
      aService("google", "240.240.0.1", {
        hostname: "www.google.com",
        loadBalancing: { routingPreference: [], mode: "PASSTHROUGH", healthPolicy: "ALLOW_ALL" },
      }),
    ],
    expect: {
      kind: "passthrough",
      to: "240.240.0.1:80",
      why: "passthrough-service",
      found: "service",
      service: "google",
      workload: undefined,
    },
  },
  {
    name: "REGISTRY_ONLY: a pod is a destination of the mesh, captured or not",
    to: "127.0.0.2:80",
    egress: "REGISTRY_ONLY",
    workloads: [aWorkload("plain", "127.0.0.2", { tunnelProtocol: "NONE" })],
    expect: { kind: "tcp", to: "127.0.0.2:80", why: "no-tunnel", found: "workload", service: undefined, workload: "plain" },
  },
  {
    name: "build_request_wrong_network",
    to: "127.0.0.2:80",
    workloads: [aWorkload("remote", "127.0.0.2", { network: "remote" })],
    expect: {
      kind: "passthrough",
      to: "127.0.0.2:80",
      why: "unknown-destination",
      found: "unknown",
      service: undefined,
      workload: undefined,
    },
  },
  {
    name: "build_request_double_hbone",
    to: "127.0.0.3:80",
    services: [aService("s", "127.0.0.3", { subjectAltNames: [id("other")] })],
    workloads: [
      aWorkload("remote", "", { network: "remote", networkGateway: waypointByIp("10.22.1.1"), ...serving("s") }),
      aWorkload("gateway", "10.22.1.1", { serviceAccount: "gw" }),
    ],
    expect: {
      kind: "double-hbone",
      gateway: "10.22.1.1:15008",
      authority: "s.ns.svc.cluster.local:80",
      outer: [id("gw")],
      inner: [id("other")],
      why: "other-network",
      to: undefined,
      found: "service",
      service: "s",
      workload: "remote",
    },
  },
  {
    name: "build_request_double_hbone: a gateway that says no port has the tunnels' own",
    to: "127.0.0.3:80",
    services: [aService("s", "127.0.0.3", { subjectAltNames: [id("other")] })],
    workloads: [
      aWorkload("remote", "", { network: "remote", networkGateway: { ...waypointByIp("10.22.1.1"), hboneMtlsPort: 0 }, ...serving("s") }),
      aWorkload("gateway", "10.22.1.1", { serviceAccount: "gw" }),
    ],
    expect: {
      kind: "double-hbone",
      gateway: "10.22.1.1:15008",
      authority: "s.ns.svc.cluster.local:80",
      outer: [id("gw")],
      inner: [id("other")],
      why: "other-network",
      to: undefined,
      found: "service",
      service: "s",
      workload: "remote",
    },
  },
  {
    name: "build_request_failover_to_remote",
    to: "127.0.0.3:80",
    services: [
      aService("s", "127.0.0.3", { loadBalancing: { routingPreference: ["NETWORK"], mode: "FAILOVER", healthPolicy: "ONLY_HEALTHY" } }),
    ],
    workloads: [
      aWorkload("remote", "", { network: "remote", networkGateway: waypointByIp("10.22.1.1"), ...serving("s") }),
      aWorkload("near", "127.0.0.4", { ...serving("s"), status: "UNHEALTHY" }),
      aWorkload("gateway", "10.22.1.1"),
    ],
    expect: {
      kind: "double-hbone",
      gateway: "10.22.1.1:15008",
      authority: "s.ns.svc.cluster.local:80",
      outer: [id("default")],
      inner: [],
      why: "other-network",
      to: undefined,
      found: "service",
      service: "s",
      workload: "remote",
    },
  },
  ...(["remote", "local"] as const).flatMap((where): Case[] => [
    {
      name: `build_request_known_dest_${where}_node_tcp`,
      to: "127.0.0.2:80",
      workloads: [aWorkload("dest", "127.0.0.2", { ...plain, node: `${where}-node` })],
      expect: { kind: "tcp", to: "127.0.0.2:80", why: "no-tunnel", found: "workload", service: undefined, workload: "dest" },
    },
    {
      name: `build_request_known_dest_${where}_node_hbone`,
      to: "127.0.0.2:80",
      workloads: [aWorkload("dest", "127.0.0.2", { node: `${where}-node`, serviceAccount: "sa" })],
      expect: {
        kind: "hbone",
        via: "127.0.0.2:15008",
        authority: "127.0.0.2:80",
        expect: [id("sa")],
        why: "direct",
        to: undefined,
        found: "workload",
        service: undefined,
        workload: "dest",
      },
    },
  ]),
  {
    name: "build_request_source_waypoint: the caller's own waypoint does not concern what it calls",
    to: "127.0.0.2:80",
    source: { ...SOURCE, waypoint: waypointByIp("127.0.0.10") },
    workloads: [aWorkload("dest", "127.0.0.2", plain), waypointPod],
    expect: { kind: "tcp", to: "127.0.0.2:80", why: "no-tunnel", found: "workload", service: undefined, workload: "dest" },
  },
  {
    name: "build_request_destination_waypoint",
    to: "127.0.0.2:80",
    workloads: [aWorkload("dest", "127.0.0.2", { ...plain, waypoint: waypointByIp("127.0.0.10") }), waypointPod],
    expect: {
      kind: "hbone",
      via: "127.0.0.10:15008",
      authority: "127.0.0.2:80",
      expect: [id("waypoint-sa")],
      why: "workload-waypoint",
      to: undefined,
      found: "workload",
      service: undefined,
      workload: "waypoint",
    },
  },
  {
    name: "build_request_destination_waypoint: the caller is that waypoint",
    to: "127.0.0.2:80",
    source: waypointPod,
    workloads: [aWorkload("dest", "127.0.0.2", { waypoint: waypointByIp("127.0.0.10") })],
    expect: {
      kind: "hbone",
      via: "127.0.0.2:15008",
      authority: "127.0.0.2:80",
      expect: [id("default")],
      why: "direct",
      to: undefined,
      found: "workload",
      service: undefined,
      workload: "dest",
    },
  },
  {
    name: "build_request_destination_waypoint_mismatch_ip: the waypoint's identity from another address is not the waypoint",
    to: "127.0.0.2:80",
    source: { ...SOURCE, serviceAccount: "waypoint-sa" },
    workloads: [aWorkload("dest", "127.0.0.2", { waypoint: waypointByIp("127.0.0.10") }), waypointPod],
    expect: {
      kind: "hbone",
      via: "127.0.0.10:15008",
      authority: "127.0.0.2:80",
      expect: [id("waypoint-sa")],
      why: "workload-waypoint",
      to: undefined,
      found: "workload",
      service: undefined,
      workload: "waypoint",
    },
  },
  {
    name: "build_request_destination_svc_waypoint: by hostname, for the VIP and port that were dialled",
    to: "127.0.0.3:80",
    services: [
      aService("s", "127.0.0.3", { waypoint: waypointByHost("ns", "waypoint-svc.ns.svc.cluster.local") }),
      { ...waypointService, subjectAltNames: [id("waypoint-svc-id")] },
    ],
    workloads: [aWorkload("dest", "127.0.0.2", serving("s")), waypointEndpoint],
    expect: {
      kind: "hbone",
      via: "127.0.0.10:15008",
      authority: "127.0.0.3:80",
      expect: [id("waypoint-sa"), id("waypoint-svc-id")],
      why: "service-waypoint",
      to: undefined,
      found: "service",
      service: "s",
      workload: "waypoint",
    },
  },
  {
    name: "build_request_destination_svc_waypoint: also for a port that the service does not declare, for the waypoint decides",
    to: "127.0.0.3:9999",
    services: [aService("s", "127.0.0.3", { waypoint: waypointByIp("127.0.10.1") }), waypointService],
    workloads: [waypointEndpoint],
    expect: {
      kind: "hbone",
      via: "127.0.0.10:15008",
      authority: "127.0.0.3:9999",
      expect: [id("waypoint-sa")],
      why: "service-waypoint",
      to: undefined,
      found: "service",
      service: "s",
      workload: "waypoint",
    },
  },
  {
    name: "build_request_destination_svc_waypoint: a waypoint that is not known refuses, it is never skipped",
    to: "127.0.0.3:80",
    services: [aService("s", "127.0.0.3", { waypoint: waypointByHost("ns", "gone.ns.svc.cluster.local") })],
    workloads: [aWorkload("dest", "127.0.0.2", serving("s"))],
    expect: {
      kind: "reject",
      code: "WAYPOINT_UNAVAILABLE",
      detail: "the waypoint ns/gone.ns.svc.cluster.local is not known",
      found: "service",
      service: "s",
      workload: undefined,
    },
  },
  {
    name: "build_request_destination_svc_waypoint: a waypoint without ready instances refuses",
    to: "127.0.0.3:80",
    services: [aService("s", "127.0.0.3", { waypoint: waypointByIp("127.0.10.1") }), waypointService],
    workloads: [{ ...waypointEndpoint, status: "UNHEALTHY" }],
    expect: {
      kind: "reject",
      code: "WAYPOINT_UNAVAILABLE",
      detail: "the waypoint /127.0.10.1 has no ready instance (no-eligible-endpoint)",
      found: "service",
      service: "s",
      workload: undefined,
    },
  },
  {
    name: "require-waypoint: a service that must have its waypoint is not reached without it",
    to: "127.0.0.3:80",
    services: [
      aService("s", "127.0.0.3", {
        waypoint: waypointByHost("ns", "gone.ns.svc.cluster.local"),
        waypointRules: { required: true, missing: "waypoint ns/gone does not exist", uncaptured: "refuse" },
      }),
    ],
    workloads: [aWorkload("dest", "127.0.0.2", serving("s"))],
    expect: {
      kind: "reject",
      code: "WAYPOINT_UNAVAILABLE",
      detail: "service ns/s.ns.svc.cluster.local is reached through its waypoint only: waypoint ns/gone does not exist",
      found: "service",
      service: "s",
      workload: undefined,
    },
  },
  {
    name: "require-waypoint: with its waypoint it is reached as any other",
    to: "127.0.0.3:80",
    services: [
      aService("s", "127.0.0.3", {
        waypoint: waypointByIp("127.0.10.1"),
        waypointRules: { required: true, missing: "", uncaptured: "refuse" },
      }),
      waypointService,
    ],
    workloads: [waypointEndpoint],
    expect: {
      kind: "hbone",
      via: "127.0.0.10:15008",
      authority: "127.0.0.3:80",
      expect: [id("waypoint-sa")],
      why: "service-waypoint",
      to: undefined,
      found: "service",
      service: "s",
      workload: "waypoint",
    },
  },
  {
    name: "svc_waypoint: the caller is an instance of that waypoint",
    to: "127.0.0.3:80",
    source: waypointEndpoint,
    services: [aService("s", "127.0.0.3", { waypoint: waypointByIp("127.0.10.1") }), waypointService],
    workloads: [aWorkload("dest", "127.0.0.2", serving("s"))],
    expect: {
      kind: "hbone",
      via: "127.0.0.2:15008",
      authority: "127.0.0.2:8080",
      expect: [id("default")],
      why: "direct",
      to: undefined,
      found: "service",
      service: "s",
      workload: "dest",
    },
  },
  ...[
    { random: 0.1, via: "127.0.0.11:15008", sa: "a" },
    { random: 0.5, via: "127.0.0.12:15008", sa: "b" },
  ].map(
    ({ random, via, sa }): Case => ({
      name: `weighted_waypoints: ${random} of 1:3 goes to ${sa}`,
      to: "127.0.0.3:80",
      random,
      services: [
        aService("s", "127.0.0.3", {
          waypoint: waypointByIp("127.0.0.10"),
          weightedWaypoints: [
            { destination: waypointByIp("127.0.0.11"), weight: 1 },
            { destination: waypointByIp("127.0.0.12"), weight: 3 },
          ],
        }),
      ],
      workloads: [aWorkload("a", "127.0.0.11", { serviceAccount: "a" }), aWorkload("b", "127.0.0.12", { serviceAccount: "b" })],
      expect: {
        kind: "hbone",
        via,
        authority: "127.0.0.3:80",
        expect: [id(sa)],
        why: "service-waypoint",
        to: undefined,
        found: "service",
        service: "s",
        workload: sa,
      },
    }),
  ),
  {
    name: "weighted_waypoints: all weights zero fall back to the plain one",
    to: "127.0.0.3:80",
    services: [
      aService("s", "127.0.0.3", {
        waypoint: waypointByIp("127.0.0.10"),
        weightedWaypoints: [{ destination: waypointByIp("127.0.0.11"), weight: 0 }],
      }),
    ],
    workloads: [waypointPod],
    expect: {
      kind: "hbone",
      via: "127.0.0.10:15008",
      authority: "127.0.0.3:80",
      expect: [id("waypoint-sa")],
      why: "service-waypoint",
      to: undefined,
      found: "service",
      service: "s",
      workload: "waypoint",
    },
  },
  {
    name: "build_request_empty_service: no endpoint is a refusal, not passthrough",
    to: "127.0.0.3:80",
    services: [aService("s", "127.0.0.3")],
    expect: {
      kind: "reject",
      code: "NO_HEALTHY_UPSTREAM",
      detail: "service ns/s.ns.svc.cluster.local has no endpoint to choose for port 80 (no-endpoints)",
      found: "service",
      service: "s",
      workload: undefined,
    },
  },
  {
    name: "build_request_target_port: a port that the service does not declare",
    to: "127.0.0.3:81",
    services: [aService("s", "127.0.0.3")],
    workloads: [aWorkload("dest", "127.0.0.2", serving("s"))],
    expect: {
      kind: "reject",
      code: "NO_SERVICE_PORT",
      detail: "service ns/s.ns.svc.cluster.local has no port 81",
      found: "service",
      service: "s",
      workload: undefined,
    },
  },
  {
    name: "build_request_target_port: a named port that the endpoint maps",
    to: "127.0.0.3:80",
    services: [aService("s", "127.0.0.3", { ports: [aPort(80, 0)] })],
    workloads: [
      aWorkload("unmapped", "127.0.0.4", { services: { "ns/s.ns.svc.cluster.local": [] } }),
      aWorkload("dest", "127.0.0.2", { services: { "ns/s.ns.svc.cluster.local": [aPort(80, 9090)] } }),
    ],
    expect: {
      kind: "hbone",
      via: "127.0.0.2:15008",
      authority: "127.0.0.2:9090",
      expect: [id("default")],
      why: "direct",
      to: undefined,
      found: "service",
      service: "s",
      workload: "dest",
    },
  },
  {
    name: "build_request_host_network: not found by its address, for the node's other programs share it",
    to: "127.0.0.2:80",
    workloads: [aWorkload("host", "127.0.0.2", { networkMode: "HOST_NETWORK" })],
    expect: {
      kind: "passthrough",
      to: "127.0.0.2:80",
      why: "unknown-destination",
      found: "unknown",
      service: undefined,
      workload: undefined,
    },
  },
  {
    name: "build_request_host_network: reached as an endpoint of a service",
    to: "127.0.0.3:80",
    services: [aService("s", "127.0.0.3")],
    workloads: [aWorkload("host", "127.0.0.2", { networkMode: "HOST_NETWORK", ...plain, ...serving("s") })],
    expect: { kind: "tcp", to: "127.0.0.2:8080", why: "no-tunnel", found: "service", service: "s", workload: "host" },
  },
  {
    name: "build_request_passthrough_svc",
    to: "127.0.0.3:80",
    services: [aService("s", "127.0.0.3", { loadBalancing: { routingPreference: [], mode: "PASSTHROUGH", healthPolicy: "ONLY_HEALTHY" } })],
    expect: { kind: "passthrough", to: "127.0.0.3:80", why: "passthrough-service", found: "service", service: "s", workload: undefined },
  },
  {
    name: "build_request_passthrough_svc_with_waypoint",
    to: "127.0.0.3:80",
    services: [
      aService("s", "127.0.0.3", {
        waypoint: waypointByIp("127.0.0.10"),
        loadBalancing: { routingPreference: [], mode: "PASSTHROUGH", healthPolicy: "ONLY_HEALTHY" },
      }),
    ],
    workloads: [waypointPod],
    expect: {
      kind: "hbone",
      via: "127.0.0.10:15008",
      authority: "127.0.0.3:80",
      expect: [id("waypoint-sa")],
      why: "service-waypoint",
      to: undefined,
      found: "service",
      service: "s",
      workload: "waypoint",
    },
  },
  {
    name: "multiple_address_workload: the address that was dialled is the one that is used",
    to: "[fd00::2]:80",
    workloads: [aWorkload("dest", "127.0.0.2", { addresses: [ip("127.0.0.2"), ip("fd00::2")] })],
    expect: {
      kind: "hbone",
      via: "fd00::2:15008",
      authority: "[fd00::2]:80",
      expect: [id("default")],
      why: "direct",
      to: undefined,
      found: "workload",
      service: undefined,
      workload: "dest",
    },
  },
  ...(
    [
      ["AUTOMATIC", "127.0.0.3:80", "127.0.0.2"],
      ["AUTOMATIC", "[fd00::3]:80", "[fd00::2]"],
      ["IPV4_ONLY", "[fd00::3]:80", "127.0.0.2"],
      ["IPV6_ONLY", "127.0.0.3:80", "[fd00::2]"],
      ["DUAL", "[fd00::3]:80", "[fd00::2]"],
    ] as const
  ).map(
    ([ipFamilies, to, host]): Case => ({
      name: `service_ip_families: ${ipFamilies} dialled at ${to}`,
      to,
      services: [
        aService("s", "", {
          ipFamilies,
          addresses: [
            { network: "", ip: ip("127.0.0.3") },
            { network: "", ip: ip("fd00::3") },
          ],
        }),
      ],
      workloads: [aWorkload("dest", "", { addresses: [ip("127.0.0.2"), ip("fd00::2")], ...plain, ...serving("s") })],
      expect: {
        kind: "tcp",
        to: `${host.replace(/[[\]]/g, "")}:8080`,
        why: "no-tunnel",
        found: "service",
        service: "s",
        workload: "dest",
      },
    }),
  ),
  {
    name: "retry: an endpoint that refused is not chosen again",
    to: "127.0.0.3:80",
    tried: ["first"],
    services: [aService("s", "127.0.0.3")],
    workloads: [
      aWorkload("first", "127.0.0.2", { ...plain, ...serving("s") }),
      aWorkload("second", "127.0.0.4", { ...plain, ...serving("s") }),
    ],
    expect: { kind: "tcp", to: "127.0.0.4:8080", why: "no-tunnel", found: "service", service: "s", workload: "second" },
  },
  ...(
    [
      ["AUTOMATIC", "127.0.0.3:80", "ipv4"],
      ["IPV6_ONLY", "127.0.0.3:80", "ipv6"],
    ] as const
  ).map(
    ([ipFamilies, to, prefer]): Case => ({
      name: `an endpoint with only a hostname is to be resolved, ${prefer} preferred (${ipFamilies})`,
      to,
      services: [aService("s", "127.0.0.3", { ipFamilies })],
      workloads: [aWorkload("dest", "", { hostname: "example.com", ...serving("s") })],
      expect: {
        kind: "resolve",
        hostname: "example.com",
        prefer,
        why: "endpoint-hostname",
        to: undefined,
        found: "service",
        service: "s",
        workload: "dest",
      },
    }),
  ),
  {
    name: "an endpoint with only a hostname is dialled at what it was resolved to",
    to: "127.0.0.3:80",
    resolved: { "example.com": "93.184.216.34" },
    services: [aService("s", "127.0.0.3")],
    workloads: [aWorkload("dest", "", { hostname: "example.com", ...plain, ...serving("s") })],
    expect: { kind: "tcp", to: "93.184.216.34:8080", why: "no-tunnel", found: "service", service: "s", workload: "dest" },
  },
  {
    name: "build_request_double_hbone: the gateway by hostname, one of its instances",
    to: "127.0.0.3:80",
    services: [
      aService("s", "127.0.0.3", { subjectAltNames: [id("other")] }),
      aService("ew", "10.22.0.1", { ports: [aPort(15008, 15009)], subjectAltNames: [id("gw-service")] }),
    ],
    workloads: [
      aWorkload("remote", "", { network: "remote", networkGateway: waypointByHost("ns", "ew.ns.svc.cluster.local"), ...serving("s") }),
      aWorkload("gone", "10.22.1.1", { status: "UNHEALTHY", services: { "ns/ew.ns.svc.cluster.local": [] } }),
      aWorkload("gateway", "10.22.1.2", { serviceAccount: "gw", services: { "ns/ew.ns.svc.cluster.local": [] } }),
    ],
    expect: {
      kind: "double-hbone",
      gateway: "10.22.1.2:15009",
      authority: "s.ns.svc.cluster.local:80",
      outer: [id("gw"), id("gw-service")],
      inner: [id("other")],
      why: "other-network",
      to: undefined,
      found: "service",
      service: "s",
      workload: "remote",
    },
  },
  {
    name: "build_request_double_hbone: a network without a gateway",
    to: "127.0.0.3:80",
    services: [aService("s", "127.0.0.3")],
    workloads: [aWorkload("remote", "10.0.0.5", { network: "remote", ...serving("s") })],
    expect: {
      kind: "reject",
      code: "NO_HEALTHY_UPSTREAM",
      detail: 'Kubernetes//Pod/ns/remote is on network "remote", which has no gateway',
      found: "service",
      service: "s",
      workload: "remote",
    },
  },
  {
    name: "svc_waypoint on another network: through that network's gateway, for the service by name",
    to: "127.0.0.3:80",
    services: [
      aService("s", "127.0.0.3", { waypoint: waypointByHost("ns", "waypoint-svc.ns.svc.cluster.local"), subjectAltNames: [id("s-id")] }),
      waypointService,
    ],
    workloads: [
      { ...waypointEndpoint, addresses: [], network: "remote", networkGateway: waypointByIp("10.22.1.1") },
      aWorkload("gateway", "10.22.1.1", { serviceAccount: "gw" }),
    ],
    expect: {
      kind: "double-hbone",
      gateway: "10.22.1.1:15008",
      authority: "s.ns.svc.cluster.local:80",
      outer: [id("gw")],
      inner: [id("s-id")],
      why: "service-waypoint",
      to: undefined,
      found: "service",
      service: "s",
      workload: "waypoint",
    },
  },
  {
    name: "workload waypoint on another network: a workload's own address does not cross networks",
    to: "127.0.0.2:80",
    services: [waypointService],
    workloads: [
      aWorkload("dest", "127.0.0.2", { waypoint: waypointByIp("127.0.10.1") }),
      { ...waypointEndpoint, network: "remote", networkGateway: waypointByIp("10.22.1.1") },
      aWorkload("gateway", "10.22.1.1", { serviceAccount: "gw" }),
    ],
    expect: {
      kind: "reject",
      code: "WAYPOINT_UNAVAILABLE",
      detail: 'Kubernetes//Pod/ns/waypoint is on network "remote", which can only be reached through a service',
      found: "workload",
      service: undefined,
      workload: "waypoint",
    },
  },
  {
    name: "svc_waypoint: an application tunnel needs no mapping of the port",
    to: "127.0.0.3:80",
    services: [aService("s", "127.0.0.3", { waypoint: waypointByIp("127.0.10.1") }), { ...waypointService, ports: [] }],
    workloads: [
      {
        ...waypointEndpoint,
        services: { "ns/waypoint-svc.ns.svc.cluster.local": [] },
        applicationTunnel: { protocol: "PROXY", port: 15088 },
      },
    ],
    expect: {
      kind: "hbone",
      via: "127.0.0.10:15008",
      authority: "127.0.0.3:80",
      expect: [id("waypoint-sa")],
      why: "service-waypoint",
      to: undefined,
      found: "service",
      service: "s",
      workload: "waypoint",
    },
  },
  {
    name: "svc_waypoint: without one, a waypoint that does not serve the port is none",
    to: "127.0.0.3:80",
    services: [aService("s", "127.0.0.3", { waypoint: waypointByIp("127.0.10.1") }), { ...waypointService, ports: [] }],
    workloads: [{ ...waypointEndpoint, services: { "ns/waypoint-svc.ns.svc.cluster.local": [] } }],
    expect: {
      kind: "reject",
      code: "WAYPOINT_UNAVAILABLE",
      detail: "the waypoint /127.0.10.1 has no ready instance (no-eligible-endpoint)",
      found: "service",
      service: "s",
      workload: undefined,
    },
  },
  ...["127.0.0.1:15001", "[::1]:15006", "10.0.0.1:15008"].map(
    (to): Case => ({
      name: `malicious_calls: ${to} is refused`,
      to,
      source: { ...SOURCE, addresses: [ip("10.0.0.1")] },
      expect: {
        kind: "reject",
        code: "SELF_CALL",
        detail: `${to} is a port of the mesh itself`,
        found: "unknown",
        service: undefined,
        workload: undefined,
      },
    }),
  ),
];

for (const c of cases) test(c.name, () => assert.deepEqual(seen(planOf(c)), c.expect));
