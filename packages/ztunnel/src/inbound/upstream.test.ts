// The tables of ztunnel's inbound.rs by their names: find_inbound_upstream, build_inbound_request, and who the caller is.

import assert from "node:assert/strict";
import { test } from "node:test";
import { spiffeId } from "@ambit/shared/identity/spiffe.ts";
import { aPort, aService, aWorkload, ip, waypointByIp } from "@ambit/shared/state/fixtures.ts";
import { createMeshStore } from "@ambit/shared/state/store.ts";
import type { ApplicationTunnel, GatewayAddress } from "@ambit/shared/state/types.ts";
import { planInbound } from "./plan.ts";

const CLIENT = "10.0.0.1";
const SERVER = "10.0.0.2";
const SERVER_VIP = "10.10.0.1";
const SERVER_HOST = "server.default.svc.cluster.local";
const WAYPOINT = "10.0.0.3";
const WAYPOINT_VIP = "10.10.0.2";
const TARGET_PORT = 8080;
const SERVICE_PORT = 80;
const PROXY_PORT = 15088;
const LOOPBACK = "127.0.0.1";
const PROXY: ApplicationTunnel = { protocol: "PROXY", port: PROXY_PORT };
const PLAIN: ApplicationTunnel = { protocol: "NONE", port: PROXY_PORT };
/** A tunnel that names no port of its own: the one that was asked for. */
const SAME_PORT: ApplicationTunnel = { protocol: "PROXY", port: 0 };

/** How the server has the waypoint, and whether the waypoint takes tunnels itself. */
type Attached = { readonly by: "none" | "service" | "workload"; readonly at?: string; readonly tunnel?: ApplicationTunnel };

const viewOf = (attached: Attached) => {
  const store = createMeshStore();
  const waypoint: GatewayAddress | undefined = attached.at === undefined ? undefined : waypointByIp(attached.at);
  const member = (name: string) => ({ [`default/${name}.default.svc.cluster.local`]: [] });
  const namespace = "default";
  store.commit([
    { kind: "service", service: aService("waypoint", WAYPOINT_VIP, { namespace }) },
    { kind: "service", service: aService("server", SERVER_VIP, { namespace, waypoint: attached.by === "service" ? waypoint : undefined }) },
    {
      kind: "workload",
      workload: aWorkload("waypoint", WAYPOINT, { namespace, services: member("waypoint"), applicationTunnel: attached.tunnel }),
    },
    { kind: "workload", workload: aWorkload("client", CLIENT, { namespace }) },
    {
      kind: "workload",
      workload: aWorkload("server", SERVER, {
        namespace,
        services: member("server"),
        waypoint: attached.by === "workload" ? waypoint : undefined,
      }),
    },
  ]);
  return store.view;
};

const plan = (attached: Attached, reached: string, authority: string) => {
  const view = viewOf(attached);
  const workload = view.workloadByAddress("", ip(reached));
  assert.ok(workload !== undefined);
  return planInbound(view, {
    workload,
    method: "CONNECT",
    authority,
    peer: spiffeId("cluster.local", "default", "client"),
    remote: { ip: ip(CLIENT), port: 1234 },
    local: { ip: ip(reached), port: 15008 },
    forwarded: "",
  });
};

type Case = {
  readonly name: string;
  readonly attached: Attached;
  /** The pod that was reached, and what it was asked for. */
  readonly reached: string;
  readonly asked: string;
  /** Where it goes, and which destination the PROXY header tells; undefined: refused. */
  readonly to: readonly [ip: string, port: number] | undefined;
  readonly told?: string;
};

const direct = `${SERVER}:${TARGET_PORT}`;
const vip = `${SERVER_VIP}:${TARGET_PORT}`;
const none: Attached = { by: "none" };
const cases: readonly Case[] = [
  { name: "to workload no waypoint", attached: none, reached: SERVER, asked: direct, to: [SERVER, TARGET_PORT] },
  {
    name: "svc hostname to workload no waypoint",
    attached: none,
    reached: SERVER,
    asked: `${SERVER_HOST}:${SERVICE_PORT}`,
    to: [SERVER, TARGET_PORT],
  },
  {
    name: "to workload with waypoint referenced by pod",
    attached: { by: "workload", at: WAYPOINT },
    reached: WAYPOINT,
    asked: direct,
    to: [WAYPOINT, TARGET_PORT],
  },
  {
    name: "to workload with waypoint referenced by vip",
    attached: { by: "workload", at: WAYPOINT_VIP },
    reached: WAYPOINT,
    asked: direct,
    to: [WAYPOINT, TARGET_PORT],
  },
  {
    name: "to workload with app tunnel",
    attached: { by: "workload", at: WAYPOINT_VIP, tunnel: PROXY },
    reached: WAYPOINT,
    asked: direct,
    to: [LOOPBACK, PROXY_PORT],
    told: direct,
  },
  {
    name: "to service with waypoint referenced by pod",
    attached: { by: "service", at: WAYPOINT },
    reached: WAYPOINT,
    asked: vip,
    to: [WAYPOINT, TARGET_PORT],
  },
  {
    name: "to service with waypoint referenced by vip",
    attached: { by: "service", at: WAYPOINT_VIP },
    reached: WAYPOINT,
    asked: vip,
    to: [WAYPOINT, TARGET_PORT],
  },
  {
    name: "to service with app tunnel",
    attached: { by: "service", at: WAYPOINT_VIP, tunnel: PROXY },
    reached: WAYPOINT,
    asked: vip,
    to: [LOOPBACK, PROXY_PORT],
    told: vip,
  },
  {
    name: "svc hostname to service with waypoint",
    attached: { by: "service", at: WAYPOINT_VIP },
    reached: WAYPOINT,
    asked: `${SERVER_HOST}:${SERVICE_PORT}`,
    to: [WAYPOINT, TARGET_PORT],
  },
  {
    name: "svc hostname to service with app tunnel: the header tells the VIP",
    attached: { by: "service", at: WAYPOINT_VIP, tunnel: PROXY },
    reached: WAYPOINT,
    asked: `${SERVER_HOST}:${SERVICE_PORT}`,
    to: [LOOPBACK, PROXY_PORT],
    told: `${SERVER_VIP}:${SERVICE_PORT}`,
  },
  {
    name: "app tunnel without a header",
    attached: { by: "service", at: WAYPOINT_VIP, tunnel: PLAIN },
    reached: WAYPOINT,
    asked: vip,
    to: [LOOPBACK, PROXY_PORT],
  },
  {
    name: "app tunnel without a port: the port that was asked for",
    attached: { by: "service", at: WAYPOINT_VIP, tunnel: SAME_PORT },
    reached: WAYPOINT,
    asked: vip,
    to: [LOOPBACK, TARGET_PORT],
    told: vip,
  },
  { name: "to server ip mismatch", attached: none, reached: SERVER, asked: `${CLIENT}:${TARGET_PORT}`, to: undefined },
  { name: "to waypoint without attachment", attached: none, reached: WAYPOINT, asked: `${CLIENT}:${TARGET_PORT}`, to: undefined },
  {
    name: "to workload via waypoint with wrong attachment",
    attached: { by: "service", at: WAYPOINT },
    reached: WAYPOINT,
    asked: direct,
    to: undefined,
  },
  {
    name: "to service via waypoint with wrong attachment",
    attached: { by: "workload", at: WAYPOINT },
    reached: WAYPOINT,
    asked: vip,
    to: undefined,
  },
  {
    name: "svc hostname via somebody who is no waypoint of it",
    attached: none,
    reached: WAYPOINT,
    asked: `${SERVER_HOST}:${SERVICE_PORT}`,
    to: undefined,
  },
];

for (const c of cases) {
  const found = () => plan(c.attached, c.reached, c.asked);
  test(`find_inbound_upstream: ${c.name}`, () => {
    const p = found();
    assert.deepEqual(p.kind === "forward" ? [p.to.ip, p.to.port] : undefined, c.to);
  });
  test(`build_inbound_request: ${c.name}`, () => {
    const p = found();
    const header = p.kind === "forward" ? p.proxyHeader : undefined;
    assert.equal(header && `${header.destination.ip}:${header.destination.port}`, c.told);
    // A source address is lent to applications reached as the pod; loopback is reached as itself.
    if (p.kind === "forward") assert.equal(p.as, c.to?.[0] === LOOPBACK ? undefined : CLIENT);
  });
}

test("find_inbound_upstream: an endpoint's own port is asked before the service's", () => {
  const store = createMeshStore();
  const workload = aWorkload("server", SERVER, { services: { "ns/server.ns.svc.cluster.local": [aPort(80, 9090)] } });
  store.commit([
    { kind: "service", service: aService("server", SERVER_VIP) },
    { kind: "workload", workload },
  ]);
  const p = planInbound(store.view, {
    workload,
    method: "CONNECT",
    authority: "server.ns.svc.cluster.local:80",
    peer: spiffeId("cluster.local", "ns", "client"),
    remote: { ip: ip(CLIENT), port: 1 },
    local: { ip: ip(SERVER), port: 15008 },
    forwarded: "",
  });
  assert.deepEqual(p.kind === "forward" && p.to, { ip: SERVER, port: 9090 });
});
