// Does a whole waypoint serve, tell of itself, and refuse what is not its own?

import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import type { Duplex } from "node:stream";
import { type TestContext, test } from "node:test";
import { formatSocketAddr, parseSocketAddr } from "@ambit/shared/addr/socket.ts";
import { EMPTY_MATCH } from "@ambit/shared/authz/types.ts";
import { testAuthority } from "@ambit/shared/ca/fixture.ts";
import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import { serveTunnels } from "@ambit/shared/hbone/accept.ts";
import { createTunnelPool } from "@ambit/shared/hbone/pool.ts";
import type { TunnelHeaders, TunnelStream } from "@ambit/shared/hbone/types.ts";
import { anonymousClient, isAnonymous } from "@ambit/shared/hbone/uncaptured.ts";
import { type SpiffeId, spiffeId } from "@ambit/shared/identity/spiffe.ts";
import type { WaypointService } from "@ambit/shared/route/types.ts";
import { envFrom } from "@ambit/shared/runtime/env.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { aService, aPort as aServicePort, aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import type { Service, Workload } from "@ambit/shared/state/types.ts";
import { createLogger } from "@ambit/shared/telemetry/log.ts";
import { encodeAddress } from "@ambit/shared/wire/address.ts";
import { ADDRESS_TYPE, addressName, WAYPOINT_SERVICE_TYPE } from "@ambit/shared/wire/types.ts";
import { encodeWaypointService, waypointServiceName } from "@ambit/shared/wire/waypoint.ts";
import type { XdsType } from "@ambit/shared/xds/client.ts";
import { build } from "../app.ts";
import { parseConfig } from "../config.ts";
import { dialTcp } from "../upstream/connect.ts";
import { backend, echo } from "./helpers.ts";
import { KEY, owned, policy, VIP } from "./rig.ts";

const WEB = spiffeId("cluster.local", "shop", "web");
const WAYPOINT = spiffeId("cluster.local", "shop", "waypoint");
const REVIEWS = spiffeId("cluster.local", "shop", "reviews");

const world = realWorld();
const upsert = (name: string, value: Uint8Array) => ({ name, version: "1", value, aliases: [] });

/** The mesh's authority, which exists once the mesh does. */
type Holder = { certs: ReturnType<typeof testAuthority> | undefined };

/** A destination's ztunnel with the identity: takes CONNECTs and dials the application. */
const destination = (t: TestContext, holder: Holder, o: { id: SpiffeId; peers: SpiffeId[] }) => {
  const starting = serveTunnels({
    listen: { port: 0, host: "127.0.0.1" },
    certs: () => holder.certs?.cert(o.id),
    trustDomain: "cluster.local",
    onRequest: async (r) => {
      o.peers.push(r.peer);
      const app = await dialTcp(unwrap(parseSocketAddr(r.authority)), { signal: r.signal, timeoutMs: 1_000, world });
      const stream = r.accept({});
      stream.pipe(app).pipe(stream);
      app.on("error", () => stream.destroy());
      stream.on("error", () => app.destroy());
    },
    world,
    log: () => undefined,
  });
  t.after(async () => (await starting).close());
  return starting;
};

/** An app with its control plane scripted, and a pool that dials it as `web` would. */
const mesh = async (o: { reviewsPort: number; peerHbonePort: number; expect?: string }) => {
  const certs = testAuthority();
  const lines: string[] = [];
  let types: readonly XdsType[] = [];
  const config = unwrap(
    parseConfig(
      envFrom({
        GATEWAY_NAME: "waypoint",
        POD_NAME: "waypoint-1",
        POD_NAMESPACE: "shop",
        SERVICE_ACCOUNT: "waypoint",
        INSTANCE_IP: "127.0.0.1",
        HBONE_PORT: "0",
        ADMIN_PORT: "0",
        STATS_PORT: "0",
        READINESS_PORT: "0",
        PEER_HBONE_PORT: String(o.peerHbonePort),
        TERMINATION_GRACE_PERIOD_SECONDS: "2",
        ACCESS_LOG: "json",
      }),
    ),
  );
  const synced = Promise.withResolvers<void>();
  const app = await build({
    config,
    world,
    logger: createLogger({ format: "text", level: "error", out: { write: (l) => void lines.push(l) } }),
    out: { write: (l) => void lines.push(l) },
    sources: {
      fetchCertificate: async (id) => certs.issue(id),
      follow: (t) => {
        types = t;
        return {
          run: (signal) => once(signal, "abort").then(() => undefined),
          subscribe: () => undefined,
          unsubscribe: () => undefined,
          firstSync: () => synced.promise,
        };
      },
      close: () => undefined,
    },
  });
  const stop = new AbortController();
  const running = app.run(stop.signal);
  const apply = (url: string, resources: ReturnType<typeof upsert>[]) =>
    types.find((t) => t.typeUrl === url)?.apply({ upserts: resources, removed: [] }) ?? { rejected: [] };
  const pushService = (over: Partial<WaypointService> = {}) => {
    const s = owned(over);
    return apply(WAYPOINT_SERVICE_TYPE, [upsert(waypointServiceName(s), encodeWaypointService(s))]);
  };
  const service: Service = aService("reviews", VIP, { namespace: "shop", ports: [aServicePort(80, o.reviewsPort)] });
  const workload: Workload = aWorkload("reviews-1", "127.0.0.1", {
    namespace: "shop",
    serviceAccount: o.expect ?? "reviews",
    workloadName: "reviews-v1",
    canonicalName: "reviews",
    services: { [KEY]: [aServicePort(80, o.reviewsPort)] },
  });
  const web: Workload = aWorkload("web-1", "127.0.0.99", { namespace: "shop", serviceAccount: "web" });
  for (const a of [{ kind: "service" as const, service }, ...[workload, web].map((w) => ({ kind: "workload" as const, workload: w }))])
    apply(ADDRESS_TYPE, [upsert(addressName(a), encodeAddress(a))]);
  pushService();
  const pool = createTunnelPool({
    cert: async (id) => certs.cert(id),
    dial: (to, _f, signal) => dialTcp(to, { signal, timeoutMs: 1_000, world }),
    world,
  });
  return {
    certs,
    app,
    lines,
    pushService,
    apply,
    start: () => synced.resolve(),
    /** As somebody else than `web`, with headers in the CONNECT. */
    tunnelAs: (self: SpiffeId, authority: string, headers: TunnelHeaders): Promise<TunnelStream> =>
      pool.connect({ self, expect: [WAYPOINT], to: { ip: ip("127.0.0.1"), port: app.ports.hbone }, from: "" }, { authority, headers }),
    tunnel: async (authority: string): Promise<Duplex> =>
      (
        await pool.connect(
          { self: WEB, expect: [WAYPOINT], to: { ip: ip("127.0.0.1"), port: app.ports.hbone }, from: "" },
          { authority, headers: {} },
        )
      ).stream,
    stop: async () => {
      stop.abort(new Error("stop"));
      await running;
    },
    [Symbol.asyncDispose]: async () => {
      pool.close();
      stop.abort(new Error("stop"));
      await running;
      await app[Symbol.asyncDispose]();
    },
  };
};

const overTunnel = async (
  stream: Duplex,
  path = "/",
  method = "GET",
): Promise<{ status: number; headers: IncomingMessage["headers"]; body: string }> => {
  const req = request({ createConnection: () => stream, host: "reviews", path, method });
  req.end();
  const [res] = (await once(req, "response")) as [IncomingMessage];
  let body = "";
  for await (const c of res) body += String(c);
  return { status: res.statusCode ?? 0, headers: res.headers, body };
};

const text = async (portAndPath: string): Promise<string> => (await fetch(`http://127.0.0.1:${portAndPath}`)).text();
const ready = async (port: number): Promise<number> => (await fetch(`http://127.0.0.1:${port}/healthz/ready`)).status;
const until = async (what: () => Promise<boolean>): Promise<void> => {
  const deadline = world.now() + 5_000;
  while (!(await what())) {
    if (world.now() > deadline) throw new Error("it did not become so within 5 s");
    await world.sleep(10);
  }
};

test("tunnel in, tunnel out, identities exact; metrics, access log, explain and config_dump tell of it", async (t) => {
  await using server = await backend(echo);
  const peers: SpiffeId[] = [];
  const holder: Holder = { certs: undefined };
  const tunnels = await destination(t, holder, { id: REVIEWS, peers });
  await using m = await mesh({ reviewsPort: server.port, peerHbonePort: tunnels.address.port });
  holder.certs = m.certs;
  assert.equal(await ready(m.app.ports.readiness), 500);
  m.start();
  await until(async () => (await ready(m.app.ports.readiness)) === 200);

  const answer = await overTunnel(await m.tunnel(`${VIP}:80`), "/x?y=z");
  assert.equal(answer.status, 200);
  const got = JSON.parse(answer.body);
  assert.equal(got.url, "/x?y=z");
  assert.equal(got.headers["x-forwarded-client-cert"], `By=${WAYPOINT.uri};URI=${WEB.uri}`);
  assert.deepEqual(
    peers.map((p) => p.uri),
    [WAYPOINT.uri],
  );

  await until(async () => m.lines.length > 0);
  const log = JSON.parse(m.lines[0] ?? "{}");
  assert.deepEqual(
    [log.method, log.path, log.response_code, log.response_flags, log.upstream_host],
    ["GET", "/x?y=z", 200, "-", `127.0.0.1:${server.port}`],
  );
  assert.equal(log.upstream_cluster, "inbound-vip|80|http|reviews.shop.svc.cluster.local");

  const metrics = await text(`${m.app.ports.stats}/stats/prometheus`);
  const line = metrics.split("\n").find((l) => l.startsWith("istio_requests_total{")) ?? "";
  assert.match(
    line,
    /^istio_requests_total\{reporter="waypoint",source_workload="unknown",source_canonical_service="unknown",source_canonical_revision="latest",source_workload_namespace="shop",source_principal="spiffe:\/\/cluster.local\/ns\/shop\/sa\/web",source_app="unknown",source_version="unknown",source_cluster="unknown",destination_workload="reviews-v1",destination_workload_namespace="shop",destination_principal="spiffe:\/\/cluster.local\/ns\/shop\/sa\/reviews",destination_app="reviews",destination_version="latest",destination_service="reviews.shop.svc.cluster.local",destination_canonical_service="reviews",destination_canonical_revision="latest",destination_service_name="reviews",destination_service_namespace="shop",destination_cluster="Kubernetes",request_protocol="http",response_code="200",grpc_response_status="",response_flags="-",connection_security_policy="mutual_tls"\} 1$/,
  );
  assert.match(metrics, /istio_request_duration_milliseconds_bucket\{le="0\.5"|istio_request_duration_milliseconds_bucket\{.*le="0\.5"/);

  m.pushService({
    policies: [
      policy({
        name: "no-delete",
        rules: [{ clauses: [{ matches: [{ ...EMPTY_MATCH, methods: [{ kind: "exact", value: "DELETE" }] }] }] }],
      }),
    ],
  });
  assert.equal((await overTunnel(await m.tunnel(`${VIP}:80`), "/", "DELETE")).status, 403);
  const explained = JSON.parse(await text(`${m.app.ports.admin}/explain?authority=${VIP}:80&source=${WEB.uri}&method=DELETE&path=/x`));
  assert.deepEqual([explained.status, explained.verdict.allowed, explained.service], [403, false, KEY]);
  assert.equal(explained.verdict.text, "explicitly denied by: shop/no-delete (rule 0)");
  assert.deepEqual(explained.expect, [REVIEWS.uri]);
  const dump = JSON.parse(await text(`${m.app.ports.admin}/config_dump`));
  assert.equal(dump.waypointServices[0].name, "reviews");
  assert.equal(dump.workloads.length, 2);
  assert.equal(dump.certificates[0].identity, WAYPOINT.uri);
});

test("a backend with another identity than the workload's is not spoken to", async (t) => {
  await using server = await backend(echo);
  const holder: Holder = { certs: undefined };
  const peers: SpiffeId[] = [];
  const impostor = await destination(t, holder, { id: spiffeId("cluster.local", "shop", "impostor"), peers });
  await using m = await mesh({ reviewsPort: server.port, peerHbonePort: impostor.address.port });
  holder.certs = m.certs;
  m.start();
  await until(async () => (await ready(m.app.ports.readiness)) === 200);
  const answer = await overTunnel(await m.tunnel(`${VIP}:80`));
  assert.deepEqual([answer.status, answer.body, peers.length], [503, "the backend is not who it must be", 0]);
});

test("a pod of the service may send a client through that nobody knows; nobody else may make himself nobody", async (t) => {
  await using server = await backend(echo);
  const holder: Holder = { certs: undefined };
  const tunnels = await destination(t, holder, { id: REVIEWS, peers: [] });
  await using m = await mesh({ reviewsPort: server.port, peerHbonePort: tunnels.address.port });
  holder.certs = m.certs;
  m.start();
  await until(async () => (await ready(m.app.ports.readiness)) === 200);
  const client = anonymousClient({ ip: ip("192.0.2.9"), port: 5 });
  const asClient = async () => {
    const tunnel = await m.tunnelAs(REVIEWS, `${VIP}:80`, client);
    assert.equal(isAnonymous(tunnel.headers), true, "the answer says how the client is taken");
    return overTunnel(tunnel.stream);
  };
  const got = JSON.parse((await asClient()).body);
  assert.deepEqual([got.headers["x-forwarded-for"], got.headers["x-forwarded-client-cert"]], ["192.0.2.9", undefined]);

  const anybody = { clauses: [{ matches: [{ ...EMPTY_MATCH, principals: [{ kind: "presence" as const }] }] }] };
  m.pushService({ policies: [policy({ name: "members", action: "ALLOW", rules: [anybody] })] });
  assert.equal((await asClient()).status, 403, "it has no identity, not the pod's");
  assert.equal((await overTunnel((await m.tunnelAs(REVIEWS, `${VIP}:80`, {})).stream)).status, 200, "the pod itself has one");
  await assert.rejects(m.tunnelAs(WEB, `${VIP}:80`, client), (e: unknown) => e instanceof MeshError && e.status === 401);
});

test("what is not owned is refused; a resource that cannot be read is refused and the old one stays", async () => {
  await using server = await backend(echo);
  await using m = await mesh({ reviewsPort: server.port, peerHbonePort: 1 });
  m.start();
  await until(async () => (await ready(m.app.ports.readiness)) === 200);
  for (const authority of ["10.96.0.77:80", `${VIP}:81`, formatSocketAddr({ ip: ip("127.0.0.1"), port: server.port })])
    await assert.rejects(m.tunnel(authority), (e: unknown) => e instanceof MeshError && e.code === "HTTP_STATUS", authority);
  const { rejected } = m.apply(WAYPOINT_SERVICE_TYPE, [upsert(KEY, Buffer.from([0xff, 0xff]))]);
  assert.equal(rejected[0]?.name, KEY);
  // Still served: the workload has no reachable tunnel, so the answer is the waypoint's own 503.
  assert.equal((await overTunnel(await m.tunnel(`${VIP}:80`))).status, 503);
});

test("shutting down lets the request in flight finish", async () => {
  const arrived = Promise.withResolvers<() => void>();
  await using server = await backend((_req, res) => arrived.resolve(() => void res.end("done")));
  await using m = await mesh({ reviewsPort: server.port, peerHbonePort: 1 });
  // In clear, so that no destination tunnel is needed.
  const plain = aWorkload("reviews-1", "127.0.0.1", {
    namespace: "shop",
    tunnelProtocol: "NONE",
    services: { [KEY]: [aServicePort(80, server.port)] },
  });
  m.apply(ADDRESS_TYPE, [upsert(plain.uid, encodeAddress({ kind: "workload", workload: plain }))]);
  m.start();
  await until(async () => (await ready(m.app.ports.readiness)) === 200);
  const answering = overTunnel(await m.tunnel(`${VIP}:80`));
  const finish = await arrived.promise;
  const stopped = m.stop();
  assert.equal(await ready(m.app.ports.readiness), 500);
  finish();
  const answer = await answering;
  assert.deepEqual([answer.status, answer.body, answer.headers.connection], [200, "done", "close"]);
  await stopped;
});
