// By which ways does traffic get from a client pod to a server pod, and what serves it there?
import { NODE } from "../world/paths.ts";
import { entry } from "./haproxy.ts";
import { PORTS } from "./objects.ts";
import type { Site, World } from "./world.ts";

export type Service = keyof typeof PORTS;

export type Path = {
  readonly name: string;
  readonly from: Site;
  to(service: Service): { readonly host: string; readonly port: number };
};

/** Programs of the bench, run with the same node as the proxies. */
export const load = (name: string, ...args: readonly (string | number)[]): string[] => [
  NODE,
  `${import.meta.dirname}/load/${name}.ts`,
  ...args.map(String),
];

export const pathsOf = (world: World) => {
  const { plain, captured } = world;
  const through = (name: string, how: (port: number) => number): Path => ({
    name,
    from: plain.client,
    to: (service) => ({ host: "127.0.0.1", port: how(PORTS[service]) }),
  });
  const straight = (name: string, pair: World["plain"]): Path => ({
    name,
    from: pair.client,
    to: (service) => ({ host: pair.server.ip, port: PORTS[service] }),
  });
  return {
    direct: straight("direct", plain),
    haproxy: through("haproxy", entry.fresh),
    resumed: through("haproxy, resuming", entry.resumed),
    ztunnel: straight("ztunnel", captured),
  } as const satisfies Record<string, Path>;
};
export type Paths = ReturnType<typeof pathsOf>;

/** iperf3 and the responders in both server pods. */
export const startServers = async (world: World): Promise<void> => {
  for (const { server } of [world.plain, world.captured]) {
    const iperf = world.start(server, ["iperf3", "-s", "-p", String(PORTS.iperf), "--forceflush"]);
    const responders = [load("responder", PORTS.responder), load("responder", PORTS.once, "once")].map((argv) => world.start(server, argv));
    await iperf.line(/listening/i);
    for (const r of responders) await r.line(/^ready$/);
  }
};
