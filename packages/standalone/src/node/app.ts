// How is one node put together: registration, kubelet, Service rules, DNS, the kubelet's server?

import { existsSync, mkdirSync, readFileSync, realpathSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { createKubeClient, loadKubeConfig } from "@ambit/shared/kube/client.ts";
import type { ConfigMap, Secret, Service } from "@ambit/shared/kube/objects/core.ts";
import type { EndpointSlice } from "@ambit/shared/kube/objects/discovery.ts";
import type { KubeObject } from "@ambit/shared/kube/objects/meta.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { createReflector, type Reflector } from "@ambit/shared/kube/reflector.ts";
import { RESOURCES, type Resource } from "@ambit/shared/kube/resources.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { NodeConfig } from "./config.ts";
import { findCgroupMount } from "./container/cgroup.ts";
import type { HostDir } from "./container/launch.ts";
import { buildZone, type Zone } from "./dns/records.ts";
import { startDnsServer } from "./dns/server.ts";
import { ambitImages, type ImageTable, parseImageTable } from "./images.ts";
import { instanceOf, kubeletSocket, netnsPath, nodeName, nodeNetns, nodeRunDir } from "./instance.ts";
import type { KubeletDeps, Log } from "./kubelet/deps.ts";
import { createEventWriter } from "./kubelet/events.ts";
import { startKubelet } from "./kubelet/kubelet.ts";
import { createRecordStore } from "./kubelet/records.ts";
import { startRegistration } from "./kubelet/register.ts";
import { CLUSTER_DOMAIN, DNS_SERVICE, nodeAddresses } from "./network/addresses.ts";
import { startKubeletServer } from "./serve/server.ts";
import { startServiceProxy } from "./services/run.ts";
import { runTool } from "./tools/run.ts";

const REPOSITORY = realpathSync(join(import.meta.dirname, "../../../.."));

/** Where containers see Ambit's own code and Node: wherever the checkout lies, no volume of a pod may hide it (one at /tmp would). */
const CODE = "/opt/ambit";
const NODE_BIN = "/opt/ambit-node";

/** The directories of this machine that every container gets, and Node as it is seen there. */
const ownDirs = (): { readonly node: string; readonly dirs: readonly HostDir[] } => {
  const node = realpathSync(process.execPath);
  const code = { source: REPOSITORY, target: CODE };
  if (node.startsWith(`${REPOSITORY}/`)) return { node: join(CODE, relative(REPOSITORY, node)), dirs: [code] };
  return { node: join(NODE_BIN, basename(node)), dirs: [code, { source: dirname(node), target: NODE_BIN }] };
};

const readIfThere = (path: string): string => (existsSync(path) ? readFileSync(path, "utf8") : "");

const imageTable = (config: NodeConfig): ImageTable => {
  const own = ambitImages(ownDirs().node, CODE);
  if (config.images === undefined) return own;
  const table = parseImageTable(readFileSync(config.images, "utf8"));
  if (!table.ok) throw new Error(`${config.images}: ${table.error}`);
  return { ...own, ...table.value };
};

/** Each tool is run once at the start: a missing one is a sentence now rather than a pod that never starts. */
const checkTools = async (): Promise<void> => {
  for (const [tool, flag] of [
    ["ip", "-V"],
    ["nft", "--version"],
    ["nsenter", "--version"],
    ["unshare", "--version"],
    ["mount", "--version"],
    ["setpriv", "--version"],
  ] as const)
    await runTool(tool, [flag]);
};

const createDeps = (config: NodeConfig, world: World, log: Log): Omit<KubeletDeps, "lookups"> => {
  const cgroupMount = findCgroupMount();
  const name = nodeName(config.number);
  const a = nodeAddresses(config.number);
  const client = createKubeClient(loadKubeConfig({ kubeconfig: config.kubeconfig }), world);
  return {
    instance: instanceOf(config.id, { dataDir: config.dataDir, cgroupMount }),
    node: {
      name,
      number: config.number,
      netns: nodeNetns(config.id, config.number),
      ips: [a.ipv4, a.ipv6],
      capacity: { cpu: availableParallelism(), memoryBytes: totalmem() },
    },
    client,
    world,
    log,
    images: imageTable(config),
    dns: { clusterDns: DNS_SERVICE.slice(0, 1), clusterDomain: CLUSTER_DOMAIN, hostResolvConf: readIfThere("/etc/resolv.conf") },
    hostDirs: ownDirs().dirs,
    event: createEventWriter({ client, world, log, node: name }),
  };
};

/** The zone as of the newest Services and EndpointSlices, built again only after a change. */
const zoneOf = (services: Reflector<Service>, slices: Reflector<EndpointSlice>): (() => Zone) => {
  let zone: Zone | undefined;
  const stale = (): void => {
    zone = undefined;
  };
  services.subscribe(stale);
  slices.subscribe(stale);
  return () => {
    zone ??= buildZone(services.list(), slices.list(), CLUSTER_DOMAIN);
    return zone;
  };
};

/** Runs the node until the signal aborts; its pods are left running. Throws what keeps it from starting. */
export const runNode = async (
  config: NodeConfig,
  env: { readonly world: World; readonly log: Log; readonly stop: AbortSignal },
): Promise<void> => {
  const { world, log, stop } = env;
  await checkTools();
  if (!existsSync(netnsPath(nodeNetns(config.id, config.number))))
    throw new Error(`the network namespace ${nodeNetns(config.id, config.number)} does not exist: the supervisor makes it first`);
  const base = createDeps(config, world, log);
  mkdirSync(nodeRunDir(base.instance, base.node.name), { recursive: true, mode: 0o711 });

  const reflect = <T extends KubeObject>(resource: Resource, fieldSelector?: string): Reflector<T> =>
    createReflector<T>({
      client: base.client,
      resource,
      world,
      log: (event, fields) => log.info(event, { ...fields, resource: resource.resource }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    });
  const pods = reflect<Pod>(RESOURCES.pods, `spec.nodeName=${base.node.name}`);
  const configMaps = reflect<ConfigMap>(RESOURCES.configMaps);
  const secrets = reflect<Secret>(RESOURCES.secrets);
  const services = reflect<Service>(RESOURCES.services);
  const slices = reflect<EndpointSlice>(RESOURCES.endpointSlices);

  const deps: KubeletDeps = {
    ...base,
    lookups: (namespace) => ({
      configMap: (name) => configMaps.get(`${namespace}/${name}`),
      secret: (name) => secrets.get(`${namespace}/${name}`),
    }),
  };
  const running = Promise.all([pods, configMaps, secrets, services, slices].map((r) => r.run(stop)));
  const kubelet = startKubelet(
    deps,
    { pods, configMaps, secrets },
    createRecordStore(join(nodeRunDir(base.instance, base.node.name), "pods")),
  );
  const server = await startKubeletServer(deps, kubelet, kubeletSocket(base.instance, base.node.name));
  const proxy = startServiceProxy({ services, slices, except: new Set(DNS_SERVICE), world, log });
  const dns = startDnsServer({ addresses: DNS_SERVICE, port: 53, zone: zoneOf(services, slices) });
  const registration = startRegistration(deps, { region: config.region, zone: config.zone ?? `zone${config.number}` });
  void registration.registered.then(() => log.info("node registered", { node: base.node.name }));
  log.info("node started", { node: base.node.name });

  await running;
  await Promise.all([registration.stop(), server.close(), dns.close(), proxy.stop(), kubelet.leave()]);
  await base.client.close();
};
