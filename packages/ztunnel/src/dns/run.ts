// How does a pod come to have its DNS, and ztunnel the host names of endpoints? (the dns folder, put together)

import { readFileSync } from "node:fs";
import type { Ip } from "@ambit/shared/addr/ip.ts";
import type { SocketAddr } from "@ambit/shared/addr/socket.ts";
import type { Netns } from "@ambit/shared/linux/netns.ts";
import { SOURCE_LABELS, sourceLabels } from "@ambit/shared/proxy/labels.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Workload } from "@ambit/shared/state/types.ts";
import type { ScopedLogger } from "@ambit/shared/telemetry/log.ts";
import type { Metrics } from "@ambit/shared/telemetry/metrics.ts";
import type { ZdsWorkload } from "@ambit/shared/wire/types.ts";
import { createUpstream, socketsFrom } from "./client.ts";
import type { DnsConfig } from "./config.ts";
import { createHandler, type HandlerDeps } from "./handle.ts";
import { createHostResolver, type HostResolver } from "./hosts.ts";
import type { DnsReports } from "./reports.ts";
import { parseResolvConf, type ResolvConf } from "./resolv-conf.ts";
import type { NameView } from "./resolve.ts";
import { nameserversFor, searchDomains } from "./search.ts";
import { type DnsFds, type DnsServer, serveDns } from "./serve.ts";

const DNS_PORT = 53;

const at = (ip: Ip): SocketAddr => ({ ip, port: DNS_PORT });

/** What ztunnel's own resolv.conf says. Throws a sentence when the DNS proxy is on and there is nobody to ask. */
export const readResolver = ({ enabled, resolvConf: path }: Pick<DnsConfig, "enabled" | "resolvConf">): ResolvConf => {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (e) {
    if (!enabled) return parseResolvConf("");
    throw new Error(`the DNS proxy cannot read ${path}: ${e instanceof Error ? e.message : String(e)}`, { cause: e });
  }
  const resolver = parseResolvConf(text);
  if (enabled && resolver.nameservers.length === 0) throw new Error(`the DNS proxy finds no nameserver in ${path}`);
  return resolver;
};

export type PodDnsConfig = {
  readonly clusterDomain: string;
  readonly preferredNamespace: string;
  readonly ipv6: boolean;
  /** On what is asked of nameservers, so that the pod's redirect rules let it pass. */
  readonly mark: number;
};

export type PodDnsDeps = {
  /** ztunnel's own. */
  readonly resolver: ResolvConf;
  readonly view: NameView;
  readonly demand?: HandlerDeps["demand"];
  readonly reports: DnsReports;
  readonly world: World;
  readonly log: ScopedLogger;
};

export type DnsPod = {
  readonly who: ZdsWorkload;
  readonly netns: Pick<Netns, "fd">;
  /** Bound in the pod's namespace; the server's to close. */
  readonly fds: DnsFds;
  /** The pod's own workload; waits a while for it. */
  workload(signal: AbortSignal): Promise<Workload>;
};

/** Serves the pod's DNS until it is closed. Rejects when a socket cannot be served; then all are closed. */
export const startPodDns = (pod: DnsPod, config: PodDnsConfig, deps: PodDnsDeps): Promise<DnsServer> => {
  const { world, log, resolver } = deps;
  const handler = createHandler({
    view: deps.view,
    rules: {
      clusterDomain: config.clusterDomain,
      preferredNamespace: config.preferredNamespace,
      ipv6: config.ipv6,
      search: searchDomains({ namespace: pod.who.namespace, dns: pod.who.dns }, config.clusterDomain, resolver),
    },
    upstream: createUpstream({
      servers: nameserversFor(pod.who.dns, resolver).map(at),
      socket: socketsFrom(pod.netns, config.mark),
      world,
    }),
    workload: pod.workload,
    demand: deps.demand,
    reports: deps.reports,
    world,
    monotonic: () => performance.now(),
    log,
  });
  const onError = (e: Error): void => log.warn("a DNS socket failed", { "src.workload": pod.who.name, error: e.message });
  return serveDns(pod.fds, { handler, world, onError });
};

/** The host names of endpoints, asked from ztunnel's own namespace and kept for every pod that it serves. */
export const startHostResolver = (resolver: ResolvConf, metrics: Pick<Metrics, "counter">, world: World): HostResolver => {
  const asked = metrics.counter({
    name: "istio_on_demand_dns_total",
    help: "The total number of requests that used on-demand DNS.",
    labels: [...SOURCE_LABELS, "hostname"],
  });
  return createHostResolver({
    upstream: createUpstream({ servers: resolver.nameservers.map(at), socket: socketsFrom(undefined, undefined), world }),
    world,
    asked: (hostname, source) => asked.with({ ...sourceLabels(source, undefined), hostname }).add(),
  });
};
