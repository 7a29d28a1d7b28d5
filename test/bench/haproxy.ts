// The peer: HAProxy beside the client and beside the server, TCP over mutual TLS between them.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../world/until.ts";
import { pairCertificates } from "./certificates.ts";
import { PORTS } from "./objects.ts";
import type { Server, World } from "./world.ts";

export type HaproxyPair = { readonly client: Server; readonly server: Server };

/** Where the client's HAProxy listens on loopback; `fresh` makes a full handshake for each connection, `resumed` may resume sessions. */
export const entry = { fresh: (port: number): number => port + 10_000, resumed: (port: number): number => port + 20_000 } as const;
const wire = (port: number): number => port + 30_000;

/** As files HAProxy reads. */
const writeCertificates = (dir: string): void => {
  const { rootPem, ...sides } = pairCertificates();
  writeFileSync(join(dir, "root.pem"), rootPem);
  for (const [side, { certPem, keyPem }] of Object.entries(sides))
    writeFileSync(join(dir, `${side}.pem`), certPem + keyPem, { mode: 0o600 });
};

// The proxies' own cipher list (shared/tls/policy.ts); everything else is HAProxy's default, its thread per core too.
const COMMON = `global
  maxconn 9000
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384
  ssl-default-server-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384
defaults
  mode tcp
  timeout connect 10s
  timeout client 5m
  timeout server 5m
`;

const clientConfig = (dir: string, serverIp: string): string => {
  const tls = `ssl verify required ca-file ${dir}/root.pem crt ${dir}/client.pem verifyhost server.bench ssl-min-ver TLSv1.3`;
  const section = (port: number, how: keyof typeof entry): string => `listen ${how}-${port}
  bind 127.0.0.1:${entry[how](port)}
  server it ${serverIp}:${wire(port)} ${tls}${how === "fresh" ? " no-ssl-reuse" : ""}
`;
  return (
    COMMON +
    Object.values(PORTS)
      .flatMap((p) => [section(p, "fresh"), section(p, "resumed")])
      .join("")
  );
};

const serverConfig = (dir: string): string =>
  COMMON +
  Object.values(PORTS)
    .map(
      (port) => `listen in-${port}
  bind 0.0.0.0:${wire(port)} ssl crt ${dir}/server.pem ca-file ${dir}/root.pem verify required ssl-min-ver TLSv1.3
  server it 127.0.0.1:${port}
`,
    )
    .join("");

/** Both sides started in the uncaptured pods; resolves when a connection passes through both. */
export const startHaproxy = async (world: World): Promise<HaproxyPair> => {
  const dir = join(world.dir, "haproxy");
  mkdirSync(dir, { recursive: true });
  writeCertificates(dir);
  writeFileSync(join(dir, "client.cfg"), clientConfig(dir, world.plain.server.ip));
  writeFileSync(join(dir, "server.cfg"), serverConfig(dir));
  const side = (name: "client" | "server"): Server => world.start(world.plain[name], ["haproxy", "-db", "-f", join(dir, `${name}.cfg`)]);
  const pair = { server: side("server"), client: side("client") };
  const probe = ["iperf3", "-c", "127.0.0.1", "-p", String(entry.fresh(PORTS.iperf)), "-n", "1K"];
  await until("a connection through both HAProxies", () => world.run(world.plain.client, probe, 10_000), 30_000);
  return pair;
};
