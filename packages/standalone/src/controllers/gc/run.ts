// How are owners, dependents and terminating namespaces looked after, over all kinds the server serves?

import type { KubeClient } from "@ambit/shared/kube/client.ts";
import type { KubeObject, OwnerReference } from "@ambit/shared/kube/objects/meta.ts";
import type { ReflectorEvent } from "@ambit/shared/kube/relist.ts";
import { apiVersionOf, type Resource } from "@ambit/shared/kube/resources.ts";
import { NOTHING, type Plan } from "../engine/plan.ts";
import type { View } from "../engine/view.ts";
import { emptyNamespace, finalized, isTerminating } from "../namespace/reconcile.ts";
import { collect, doubtful } from "./collect.ts";
import { createGraph } from "./graph.ts";

export type Collector = {
  /** Takes in changes; says which uids and which namespaces to look at. */
  apply(resource: Resource, events: readonly ReflectorEvent<KubeObject>[]): { uids: string[]; namespaces: string[] };
  planObject(uid: string): Promise<Plan>;
  planNamespace(name: string): Promise<Plan>;
};

const TERMINATING_POLL_MS = 2_000;

export const createCollector = (deps: { client: KubeClient; view: View; served: () => readonly Resource[] }): Collector => {
  const graph = createGraph();
  const { client, view } = deps;

  /** Asked of the server itself: our picture may lag behind, and a kind nobody serves is not an owner that is gone. */
  const isAbsent = async (owner: OwnerReference, namespace: string | undefined): Promise<boolean> => {
    const resource = deps.served().find((r) => r.kind === owner.kind && apiVersionOf(r).split("/")[0] === owner.apiVersion.split("/")[0]);
    if (resource === undefined) return false;
    const key = resource.namespaced && namespace !== undefined ? { namespace, name: owner.name } : { name: owner.name };
    return (await client.get(resource, key))?.metadata.uid !== owner.uid;
  };

  return {
    apply: (resource, events) => {
      const uids: string[] = [];
      const namespaces: string[] = [];
      for (const e of events) {
        const object = e.type === "delete" ? e.old : e.object;
        const uid = object.metadata.uid ?? "";
        if (e.type === "delete") graph.remove(resource, object);
        else graph.set(resource, object);
        const ends = e.type === "delete" || object.metadata.deletionTimestamp !== undefined;
        if (e.type !== "delete" && (ends || (object.metadata.ownerReferences?.length ?? 0) > 0)) uids.push(uid);
        if (ends)
          uids.push(
            ...graph.dependents(uid).map((d) => d.object.metadata.uid ?? ""),
            ...(object.metadata.ownerReferences ?? []).map((o) => o.uid),
          );
        const namespace = resource.kind === "Namespace" ? object.metadata.name : object.metadata.namespace;
        if (namespace !== undefined && view.namespaces.get(namespace)?.metadata.deletionTimestamp !== undefined) namespaces.push(namespace);
      }
      return { uids, namespaces };
    },
    planObject: async (uid) => {
      const held = graph.byUid(uid);
      if (held === undefined) return NOTHING;
      const absent = new Set<string>();
      for (const o of doubtful(held, graph)) if (await isAbsent(o, held.object.metadata.namespace)) absent.add(o.uid);
      return { actions: collect(held, graph, absent) };
    },
    planNamespace: async (name) => {
      const ns = view.namespaces.get(name);
      if (ns === undefined || !isTerminating(ns)) return NOTHING;
      const contents = graph.in(name);
      if (contents.length > 0) return { ...emptyNamespace(ns, contents), againMs: TERMINATING_POLL_MS };
      for (const r of deps.served().filter((s) => s.namespaced)) {
        const { items } = await client.list<KubeObject>(r, { namespace: name });
        if (items.length > 0)
          return {
            ...emptyNamespace(
              ns,
              items.map((object) => ({ resource: r, object })),
            ),
            againMs: TERMINATING_POLL_MS,
          };
      }
      return finalized(ns);
    },
  };
};
