// The peer that a tunnel would be on node:http2: a proxy beside the client and one beside the server.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pairCertificates } from "./certificates.ts";
import { PORTS } from "./objects.ts";
import { load, type Path } from "./paths.ts";
import type { Server, World } from "./world.ts";

export type Http2Pair = { readonly client: Server; readonly server: Server; readonly path: Path };

const WIRE = 55_000;
/** Where the client's proxy listens on loopback. */
const entry = (port: number): number => port + 40_000;

/** Both sides started in the uncaptured pods. */
export const startNodeHttp2 = async (world: World): Promise<Http2Pair> => {
  const dir = join(world.dir, "node-http2");
  mkdirSync(dir, { recursive: true });
  const certificates = pairCertificates();
  writeFileSync(join(dir, "root.pem"), certificates.rootPem);
  for (const side of ["client", "server"] as const) {
    writeFileSync(join(dir, `${side}.crt`), certificates[side].certPem);
    writeFileSync(join(dir, `${side}.key`), certificates[side].keyPem, { mode: 0o600 });
  }
  const ports = Object.values(PORTS)
    .map((port) => `${entry(port)}:${port}`)
    .join();
  const side = async (name: "client" | "server"): Promise<Server> => {
    const started = world.start(world.plain[name], load("http2-proxy", name, dir, world.plain.server.ip, ports, WIRE));
    await started.line(/^ready$/);
    return started;
  };
  const server = await side("server");
  const client = await side("client");
  const path: Path = {
    name: "node:http2",
    from: world.plain.client,
    to: (service) => ({ host: "127.0.0.1", port: entry(PORTS[service]) }),
  };
  return { client, server, path };
};
