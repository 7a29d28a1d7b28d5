// How does the node make itself known to the API and say that it lives?

import { hostname, release } from "node:os";
import { isAlreadyExists } from "@ambit/shared/kube/error.ts";
import type { Node } from "@ambit/shared/kube/objects/core.ts";
import type { Lease } from "@ambit/shared/kube/objects/discovery.ts";
import type { Condition } from "@ambit/shared/kube/objects/meta.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { kubeletSocket } from "../instance.ts";
import { LAST_POD, podRanges } from "../network/addresses.ts";
import type { KubeletDeps } from "./deps.ts";
import { createWorkLoop } from "./loop.ts";

const LEASE_NAMESPACE = "kube-node-lease";
const LEASE_SECONDS = 40;
const RENEW_MS = 10_000;
const KUBELET_VERSION = "v1.34.0";

export type NodeLabels = { readonly region: string; readonly zone: string };

const iso = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
const arch = (): string => (process.arch === "x64" ? "amd64" : process.arch);

const nodeObject = (deps: KubeletDeps, labels: NodeLabels): Node => {
  const ranges = podRanges(deps.node.number);
  return {
    metadata: {
      name: deps.node.name,
      labels: {
        "kubernetes.io/hostname": deps.node.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": arch(),
        "topology.kubernetes.io/region": labels.region,
        "topology.kubernetes.io/zone": labels.zone,
      },
      annotations: { "ambit.dev/kubelet-socket": kubeletSocket(deps.instance, deps.node.name) },
    },
    spec: { podCIDR: ranges.ipv4, podCIDRs: [ranges.ipv4, ranges.ipv6] },
  };
};

const CONDITIONS = [
  ["MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"],
  ["DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"],
  ["PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"],
  ["Ready", "True", "KubeletReady", "kubelet is posting ready status"],
] as const;

const conditions = (held: Node | undefined, now: number): readonly Condition[] =>
  CONDITIONS.map(([type, status, reason, message]) => {
    const old = held?.status?.conditions?.find((c) => c.type === type);
    const since = old?.status === status ? old.lastTransitionTime : undefined;
    return { type, status, reason, message, lastHeartbeatTime: iso(now), lastTransitionTime: since ?? iso(now) };
  });

const nodeStatus = (deps: KubeletDeps, held: Node | undefined): object => {
  const resources = {
    cpu: String(deps.node.capacity.cpu),
    memory: `${Math.floor(deps.node.capacity.memoryBytes / 1024)}Ki`,
    pods: String(LAST_POD - 1),
  };
  return {
    capacity: resources,
    allocatable: resources,
    addresses: [...deps.node.ips.map((address) => ({ type: "InternalIP", address })), { type: "Hostname", address: deps.node.name }],
    conditions: conditions(held, deps.world.now()),
    nodeInfo: {
      kubeletVersion: KUBELET_VERSION,
      kubeProxyVersion: KUBELET_VERSION,
      operatingSystem: "linux",
      architecture: arch(),
      osImage: `namespace of ${hostname()}`,
      containerRuntimeVersion: "ambit://0.1.0",
      kernelVersion: release(),
      machineID: deps.instance.id,
      systemUUID: `${deps.instance.id}-${deps.node.name}`,
      bootID: deps.instance.id,
    },
  };
};

const register = async (deps: KubeletDeps, labels: NodeLabels): Promise<void> => {
  const wanted = nodeObject(deps, labels);
  try {
    await deps.client.create<Node>(RESOURCES.nodes, wanted);
  } catch (e) {
    if (!isAlreadyExists(e)) throw e;
    const { labels: own, annotations } = wanted.metadata;
    await deps.client.patch<Node>(
      RESOURCES.nodes,
      { name: deps.node.name },
      { type: "merge", body: { metadata: { labels: own, annotations } } },
    );
  }
  const held = await deps.client.get<Node>(RESOURCES.nodes, { name: deps.node.name });
  await deps.client.patch<Node>(
    RESOURCES.nodes,
    { name: deps.node.name },
    { type: "merge", body: { status: nodeStatus(deps, held) }, subresource: "status" },
  );
};

const renewLease = async (deps: KubeletDeps): Promise<void> => {
  const key = { namespace: LEASE_NAMESPACE, name: deps.node.name };
  const spec = {
    holderIdentity: deps.node.name,
    leaseDurationSeconds: LEASE_SECONDS,
    renewTime: new Date(deps.world.now()).toISOString().replace("Z", "000Z"),
  };
  const held = await deps.client.get<Lease>(RESOURCES.leases, key);
  if (held === undefined) await deps.client.create<Lease>(RESOURCES.leases, { metadata: key, spec });
  else await deps.client.patch<Lease>(RESOURCES.leases, key, { type: "merge", body: { spec } });
};

export type Registration = { readonly registered: Promise<void>; stop(): Promise<void> };

/** Registers the node (again and again until the API takes it), then renews its Lease every ten seconds. */
export const startRegistration = (deps: KubeletDeps, labels: NodeLabels): Registration => {
  const registered = Promise.withResolvers<void>();
  let done = false;
  const loop = createWorkLoop(
    deps.world,
    async () => {
      const exists = done && (await deps.client.get<Node>(RESOURCES.nodes, { name: deps.node.name })) !== undefined;
      if (!exists) await register(deps, labels);
      if (!done) registered.resolve();
      done = true;
      await renewLease(deps);
      loop.kickAt(deps.world.now() + RENEW_MS);
    },
    (e) => deps.log.warn("node not registered or lease not renewed", { error: e instanceof Error ? e.message : String(e) }),
  );
  loop.kick();
  return { registered: registered.promise, stop: () => loop.stop() };
};
