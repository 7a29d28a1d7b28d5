// How is a waypoint's service written to bytes and read back? (ambit.waypoint.v1.Service)

import { ipBytes } from "../addr/ip.ts";
import { codecOf } from "../proto/schema.ts";
import type { BrokenPolicy, WaypointPort, WaypointProtocol, WaypointService } from "../route/types.ts";
import { allOf, mapOk, type Result } from "../runtime/result.ts";
import { readBackend, type WireWeightedBackend, writeBackend } from "./filter.ts";
import { readPolicy, type WirePolicy, writePolicy } from "./http-policy.ts";
import { at, each, names, readIp, readName, readPort } from "./read.ts";
import { readRule, type WireRule, writeRule } from "./rule.ts";

type WirePort = { port: number; name: string; protocol: number; routed: boolean; rules: WireRule[]; tcpBackends: WireWeightedBackend[] };
type WireService = {
  namespace: string;
  hostname: string;
  name: string;
  addresses: { network: string; address: Uint8Array }[];
  ports: WirePort[];
  policies: WirePolicy[];
  brokenPolicies: BrokenPolicy[];
};

const codec = codecOf<WireService>("ambit.waypoint.v1.Service");
const protocols = names<WaypointProtocol>("AUTO", "HTTP", "HTTP2", "GRPC", "TCP", "TLS");

/** The resource's name: "ns/hostname". */
export const waypointServiceName = (s: Pick<WaypointService, "namespace" | "hostname">): string => `${s.namespace}/${s.hostname}`;

const writePort = (p: WaypointPort): WirePort => ({
  port: p.port,
  name: p.name,
  protocol: protocols.write(p.protocol),
  routed: p.routed,
  rules: p.rules.map(writeRule),
  tcpBackends: p.tcpBackends.map(writeBackend),
});

const readWaypointPort = (p: WirePort): Result<WaypointPort> =>
  mapOk(
    allOf({
      port: readPort("port", p.port),
      protocol: protocols.read("protocol", p.protocol),
      rules: each("rules", p.rules, readRule),
      tcpBackends: each("tcp_backends", p.tcpBackends, readBackend),
    }),
    (read) => ({ ...read, name: p.name, routed: p.routed }),
  );

/** Equal services have equal bytes. */
export const encodeWaypointService = (s: WaypointService): Uint8Array =>
  codec.encode({
    namespace: s.namespace,
    hostname: s.hostname,
    name: s.name,
    addresses: s.addresses.map((a) => ({ network: a.network, address: ipBytes(a.ip) })),
    ports: s.ports.map(writePort),
    policies: s.policies.map(writePolicy),
    brokenPolicies: s.brokenPolicies.map((b) => ({ key: b.key, reason: b.reason })),
  });

/** Whole or an error that names the field. Unknown fields at any depth are an error: they may be a matcher or a filter of a newer controller. */
export const decodeWaypointService = (bytes: Uint8Array): Result<WaypointService> => {
  const m = codec.decodeStrict(bytes);
  if (!m.ok) return m;
  const s = m.value;
  const fields = allOf({
    namespace: readName("namespace", s.namespace),
    hostname: readName("hostname", s.hostname),
    addresses: each("addresses", s.addresses, (a) => mapOk(readIp(a.address), (ip) => ({ network: a.network, ip }))),
    ports: each("ports", s.ports, readWaypointPort),
    policies: each("policies", s.policies, readPolicy),
  });
  return mapOk(at(`service ${JSON.stringify(`${s.namespace}/${s.hostname}`)}`, fields), (read) => ({
    ...read,
    name: s.name,
    brokenPolicies: s.brokenPolicies.map((b) => ({ key: b.key, reason: b.reason })),
  }));
};
