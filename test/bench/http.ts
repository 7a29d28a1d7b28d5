// Requests per second and their latency: straight, tunnelled, through a waypoint, and through nginx as reverse proxy.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Service } from "@ambit/shared/kube/objects/core.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { until } from "../world/until.ts";
import { PORTS, THROUGH, WAYPOINT } from "./objects.ts";
import { wrkReading } from "./readings.ts";
import type { Suite } from "./rounds.ts";
import type { Server, Site, World } from "./world.ts";

type HttpPath = { readonly name: string; readonly from: Site; readonly url: string };

const CONNECTIONS = 32;
const BODY = "x".repeat(1_024);

const nginxConfig = (dir: string, name: string, location: string, upstream = ""): string => `daemon off;
pid ${dir}/${name}.pid;
error_log stderr crit;
worker_processes auto;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000;
  client_body_temp_path ${dir}/${name}-body; proxy_temp_path ${dir}/${name}-proxy; fastcgi_temp_path ${dir}/${name}-f; uwsgi_temp_path ${dir}/${name}-u; scgi_temp_path ${dir}/${name}-s;
  ${upstream}
  server { listen ${PORTS.http} reuseport; location / { ${location} } }
}
`;

const startNginx = (world: World, site: Site, name: string, config: { location: string; upstream?: string }): Server => {
  const dir = join(world.dir, "nginx");
  mkdirSync(dir, { recursive: true });
  const file = join(dir, `${name}.conf`);
  writeFileSync(file, nginxConfig(dir, name, config.location, config.upstream));
  return world.start(site, ["nginx", "-e", "stderr", "-c", file]);
};

const answers = (world: World, path: HttpPath, mark: string): Promise<unknown> =>
  until(
    `an answer from ${path.name}`,
    async () =>
      (await world.run(path.from, ["curl", "-sSi", "--max-time", "5", path.url], 10_000)).toLowerCase().includes(mark) ? true : undefined,
    30_000,
  );

/** Starts the web servers, nginx as reverse proxy, and a waypoint; resolves when each way answers. */
export const startHttp = async (world: World): Promise<readonly HttpPath[]> => {
  const { plain, captured, proxy, cluster } = world;
  const location = `return 200 "${BODY}";`;
  startNginx(world, plain.server, "plain", { location });
  startNginx(world, captured.server, "captured", { location });
  startNginx(world, proxy, "proxy", {
    location: `proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; add_header ${THROUGH} nginx;`,
    upstream: `upstream up { server ${plain.server.ip}:${PORTS.http}; keepalive ${CONNECTIONS}; keepalive_requests 1000000; }`,
  });
  await cluster.apply(WAYPOINT);
  await cluster.kubectl("-n", "mesh", "wait", "gateway/waypoint", "--for=condition=Programmed", "--timeout=60s");
  await cluster.kubectl("-n", "mesh", "rollout", "status", "deployment/waypoint", "--timeout=60s");
  const service = await cluster.client.get<Service>(RESOURCES.services, { namespace: "mesh", name: "behind" });
  const url = (host: string): string => `http://${host}:${PORTS.http}/`;
  const ways: readonly (HttpPath & { mark: string })[] = [
    { name: "direct", from: plain.client, url: url(plain.server.ip), mark: "200 ok" },
    { name: "nginx", from: plain.client, url: url(proxy.ip), mark: `${THROUGH}: nginx` },
    { name: "ztunnel", from: captured.client, url: url(captured.server.ip), mark: "200 ok" },
    { name: "waypoint", from: captured.client, url: url(service?.spec?.clusterIP ?? ""), mark: `${THROUGH}: waypoint` },
  ];
  for (const way of ways) await answers(world, way, way.mark);
  return ways;
};

export const http = (world: World, paths: readonly HttpPath[], seconds: number): Suite<HttpPath> => ({
  metrics: [
    { id: "http-requests", title: `HTTP/1.1, ${CONNECTIONS} connections`, unit: "requests per second", against: "nginx" },
    { id: "http-p50", title: `HTTP/1.1, ${CONNECTIONS} connections, p50`, unit: "ms", against: "nginx" },
    { id: "http-p99", title: `HTTP/1.1, ${CONNECTIONS} connections, p99`, unit: "ms", against: "nginx" },
  ],
  paths,
  measure: async (path) => {
    const argv = ["wrk", "-t", "1", "-c", String(CONNECTIONS), "-d", `${seconds}s`, "--latency", path.url];
    const { perSecond, p50Ms, p99Ms } = unwrap(wrkReading(await world.run(path.from, argv, seconds * 1_000 + 20_000)));
    return { "http-requests": perSecond, "http-p50": p50Ms, "http-p99": p99Ms };
  },
});
