// A tunnel server and a pool that speak over loopback (used by tests only).

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { parseIp } from "../addr/ip.ts";
import type { SocketAddr } from "../addr/socket.ts";
import { type TestAuthority, testAuthority } from "../ca/fixture.ts";
import type { WorkloadCert } from "../ca/types.ts";
import type { MeshErrorCode } from "../errors/codes.ts";
import { MeshError } from "../errors/mesh-error.ts";
import { type SpiffeId, spiffeId } from "../identity/spiffe.ts";
import { unwrap } from "../runtime/result.ts";
import { realWorld } from "../runtime/run.ts";
import { type ServeTunnelsOptions, serveTunnels } from "./accept.ts";
import { createTunnelPool, type TunnelPoolLimits } from "./pool.ts";
import type { TunnelHeaders, TunnelPool, TunnelRequest, TunnelServer, TunnelStream } from "./types.ts";

export type TunnelWorld = {
  readonly authority: TestAuthority;
  readonly client: SpiffeId;
  readonly serverId: SpiffeId;
  readonly server: TunnelServer;
  readonly pool: TunnelPool;
  readonly logs: { event: string; fields: Record<string, unknown> }[];
  readonly dialed: Socket[];
  connect(request?: { authority?: string; headers?: TunnelHeaders }, signal?: AbortSignal): Promise<TunnelStream>;
  /** A deadline for "nothing happens". */
  quiet(ms: number): Promise<void>;
};

export type TunnelWorldOptions = {
  readonly onRequest: ServeTunnelsOptions["onRequest"];
  readonly serverLimits?: ServeTunnelsOptions["limits"];
  readonly poolLimits?: Partial<TunnelPoolLimits>;
  readonly serverCert?: (a: TestAuthority, id: SpiffeId) => WorkloadCert | undefined;
  readonly clientCert?: (a: TestAuthority, id: SpiffeId) => WorkloadCert;
  readonly expect?: readonly SpiffeId[];
  readonly dial?: (to: SocketAddr, from: string, signal: AbortSignal) => Promise<Socket>;
};

export const loopback = unwrap(parseIp("127.0.0.1"));

const dialTcp = async (to: SocketAddr, _from: string, signal: AbortSignal): Promise<Socket> => {
  const socket = connectTcp({ host: to.ip, port: to.port, noDelay: true, signal });
  await once(socket, "connect", { signal });
  return socket;
};

export const tunnelWorld = async (t: { after(f: () => void): void }, options: TunnelWorldOptions): Promise<TunnelWorld> => {
  const authority = testAuthority();
  const client = spiffeId("cluster.local", "ns", "client");
  const serverId = spiffeId("cluster.local", "ns", "server");
  const logs: TunnelWorld["logs"] = [];
  const dialed: Socket[] = [];
  const world = realWorld();
  const serverCert = options.serverCert === undefined ? authority.cert(serverId) : undefined;
  const server = await serveTunnels({
    listen: { host: "127.0.0.1", port: 0 },
    certs: () => serverCert ?? options.serverCert?.(authority, serverId),
    trustDomain: "cluster.local",
    onRequest: options.onRequest,
    world,
    ...(options.serverLimits === undefined ? {} : { limits: options.serverLimits }),
    log: (event, fields) => logs.push({ event, fields: { ...fields } }),
  });
  const clientCert = options.clientCert?.(authority, client) ?? authority.cert(client);
  const pool = createTunnelPool({
    cert: async () => clientCert,
    dial: async (to, from, signal) => {
      const socket = await (options.dial ?? dialTcp)(to, from, signal);
      dialed.push(socket);
      return socket;
    },
    world,
    ...(options.poolLimits === undefined ? {} : { limits: options.poolLimits }),
  });
  t.after(() => {
    pool.close();
    server.close();
  });
  return {
    authority,
    client,
    serverId,
    server,
    pool,
    logs,
    dialed,
    quiet: (ms) => world.sleep(ms),
    connect: (request = {}, signal) =>
      pool.connect(
        { self: client, expect: options.expect ?? [serverId], to: server.address, from: "" },
        { authority: request.authority ?? "10.0.0.9:80", headers: request.headers ?? {} },
        signal,
      ),
  };
};

/** Sends back what comes. */
export const echo = (r: TunnelRequest): void => {
  const stream = r.accept({});
  stream.on("error", () => undefined);
  stream.pipe(stream);
};

/** The promise fails with a MeshError of the code whose message fits. */
export const fails = async (p: Promise<unknown>, code: MeshErrorCode, pattern: RegExp): Promise<void> => {
  await assert.rejects(p, (e) => {
    assert.ok(e instanceof MeshError, String(e));
    assert.equal(e.code, code, e.message);
    assert.match(e.message, pattern);
    return true;
  });
};

/** How the tunnel fails in the end is not what the test is about. */
export const quietly = <T extends { stream: { on(event: "error", f: () => void): unknown } }>(tunnel: T): T => {
  tunnel.stream.on("error", () => undefined);
  return tunnel;
};
