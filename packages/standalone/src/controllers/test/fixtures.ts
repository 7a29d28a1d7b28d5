// What do small objects and views for the controllers' tables look like?

import type { ReplicaSet } from "@ambit/shared/kube/objects/apps.ts";
import type { Node } from "@ambit/shared/kube/objects/core.ts";
import type { KubeObject } from "@ambit/shared/kube/objects/meta.ts";
import { keyOf } from "@ambit/shared/kube/objects/meta.ts";
import type { Pod, Taint } from "@ambit/shared/kube/objects/pod.ts";
import type { Action, Plan } from "../engine/plan.ts";
import type { Lister, View } from "../engine/view.ts";

export const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);
export const ago = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString().replace(".000Z", "Z");

const lister = <T extends KubeObject>(objects: readonly T[]): Lister<T> => ({
  get: (key) => objects.find((o) => keyOf(o) === key),
  list: () => objects,
  in: (namespace) => objects.filter((o) => o.metadata.namespace === namespace),
});

type Contents = { readonly [K in keyof Omit<View, "now" | "changedAt">]?: View[K] extends Lister<infer T> ? readonly T[] : never };

/** A view of just these objects, at NOW; `changedAt` in seconds ago by object name. */
export const view = (contents: Contents, changed: Readonly<Record<string, number>> = {}): View => {
  const empty = lister<KubeObject>([]) as Lister<never>;
  const kinds = [
    "pods",
    "nodes",
    "services",
    "namespaces",
    "configMaps",
    "serviceAccounts",
    "endpoints",
    "endpointSlices",
    "deployments",
    "replicaSets",
    "daemonSets",
    "controllerRevisions",
    "jobs",
    "leases",
  ] as const;
  const listers = Object.fromEntries(
    kinds.map((k) => [k, contents[k] === undefined ? empty : lister(contents[k] as readonly KubeObject[])]),
  );
  return { ...listers, now: NOW, changedAt: (o: KubeObject) => NOW - (changed[o.metadata.name] ?? 0) * 1000 } as unknown as View;
};

export const owner = (kind: string, name: string) => ({
  apiVersion: "apps/v1",
  kind,
  name,
  uid: `uid-${name}`,
  controller: true,
  blockOwnerDeletion: true,
});

export type PodInit = {
  readonly labels?: Record<string, string>;
  readonly node?: string;
  readonly ready?: boolean;
  readonly readySeconds?: number;
  readonly phase?: string;
  readonly deleting?: boolean;
  readonly owner?: ReturnType<typeof owner>;
  readonly age?: number;
  readonly spec?: Partial<Pod["spec"]>;
  readonly ips?: readonly string[];
};

export const pod = (name: string, init: PodInit = {}): Pod => ({
  metadata: {
    name,
    namespace: "d",
    uid: `uid-${name}`,
    labels: init.labels ?? { app: "web" },
    creationTimestamp: ago(init.age ?? 60),
    ...(init.deleting === true ? { deletionTimestamp: ago(1) } : {}),
    ...(init.owner === undefined ? {} : { ownerReferences: [init.owner] }),
  },
  spec: { containers: [{ name: "c" }], ...(init.node === undefined ? {} : { nodeName: init.node }), ...init.spec },
  status: {
    phase: init.phase ?? "Running",
    ...(init.ips === undefined ? {} : { podIP: init.ips[0] ?? "", podIPs: init.ips.map((ip) => ({ ip })) }),
    conditions: [{ type: "Ready", status: init.ready === false ? "False" : "True", lastTransitionTime: ago(init.readySeconds ?? 30) }],
  },
});

export const node = (
  name: string,
  init: { taints?: readonly Taint[]; labels?: Record<string, string>; ready?: "True" | "False" | "Unknown"; unschedulable?: boolean } = {},
): Node => ({
  metadata: { name, uid: `uid-${name}`, labels: { "kubernetes.io/hostname": name, ...init.labels } },
  spec: { ...(init.taints === undefined ? {} : { taints: init.taints }), ...(init.unschedulable === true ? { unschedulable: true } : {}) },
  status: { conditions: [{ type: "Ready", status: init.ready ?? "True" }] },
});

export const replicaSet = (
  name: string,
  init: {
    size: number;
    available?: number;
    created?: number;
    age?: number;
    hash?: string;
    image?: string;
    revision?: number;
    desired?: number;
  },
): ReplicaSet => ({
  metadata: {
    name,
    namespace: "d",
    uid: `uid-${name}`,
    creationTimestamp: ago(init.age ?? 60),
    labels: { app: "web", "pod-template-hash": init.hash ?? name },
    annotations: {
      "deployment.kubernetes.io/revision": String(init.revision ?? 1),
      ...(init.desired === undefined
        ? {}
        : {
            "deployment.kubernetes.io/desired-replicas": String(init.desired),
            "deployment.kubernetes.io/max-replicas": String(init.desired + Math.ceil(init.desired / 4)),
          }),
    },
    ownerReferences: [owner("Deployment", "web")],
  },
  spec: {
    replicas: init.size,
    selector: { matchLabels: { app: "web" } },
    template: {
      metadata: { labels: { app: "web", "pod-template-hash": init.hash ?? name } },
      spec: { containers: [{ name: "c", image: init.image ?? name }] },
    },
  },
  status: {
    replicas: init.created ?? init.size,
    availableReplicas: init.available ?? init.size,
    readyReplicas: init.available ?? init.size,
    observedGeneration: 1,
  },
});

/** A plan in words: "create pods web-", "delete pods a". Events and status writes left out unless asked for. */
export const shown = (plan: Plan | readonly Action[]): string[] => {
  const actions = "actions" in plan ? plan.actions : plan;
  return actions.flatMap((a) => {
    switch (a.do) {
      case "create":
        return [`create ${a.resource.resource} ${a.object.metadata.name || a.object.metadata.generateName}`];
      case "update":
        return a.subresource === "status" ? [] : [`update ${a.resource.resource} ${a.object.metadata.name}`];
      case "patch":
        return a.patch.subresource === "status" ? [] : [`patch ${a.resource.resource} ${a.key.name}`];
      case "delete":
        return [`delete ${a.resource.resource} ${a.object.metadata.name}`];
      case "bind":
        return [`bind ${a.pod.metadata.name} ${a.node}`];
      case "event":
        return [];
      default:
        return a satisfies never;
    }
  });
};

/** The status a plan writes, whether by update or by patch. */
export const statusIn = (plan: Plan): Record<string, unknown> | undefined => {
  for (const a of plan.actions) {
    if (a.do === "update" && a.subresource === "status") return (a.object as unknown as { status: Record<string, unknown> }).status;
    if (a.do === "patch" && a.patch.subresource === "status") return (a.patch.body as { status: Record<string, unknown> }).status;
  }
  return undefined;
};
