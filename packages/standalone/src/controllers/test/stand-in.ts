// What does a node tell the API server, when no node runs? (pods that are ready at once; for tests of the controllers alone)

import type { KubeClient } from "@ambit/shared/kube/client.ts";
import { isAlreadyExists } from "@ambit/shared/kube/error.ts";
import type { Node } from "@ambit/shared/kube/objects/core.ts";
import type { Lease } from "@ambit/shared/kube/objects/discovery.ts";
import type { Condition } from "@ambit/shared/kube/objects/meta.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { createReflector } from "@ambit/shared/kube/reflector.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import type { World } from "@ambit/shared/runtime/world.ts";

/** Pods whose image contains this text never get ready. */
const BROKEN = "broken";
const RENEW_MS = 10_000;

const ready = (status: "True" | "False"): Condition => ({
  type: "Ready",
  status,
  reason: "StandIn",
  lastTransitionTime: new Date().toISOString().replace(/\.\d+Z$/, "Z"),
});

/** Registers the nodes and answers for their pods until the signal aborts. */
export const standInNodes = async (
  names: readonly string[],
  deps: { client: KubeClient; world: World; log: (event: string, fields: object) => void },
  signal: AbortSignal,
): Promise<void> => {
  const { client, world } = deps;
  for (const name of names) {
    const node: Node = { metadata: { name, labels: { "kubernetes.io/hostname": name, "kubernetes.io/os": "linux" } } };
    const made = await client.create<Node>(RESOURCES.nodes, node);
    await client.update<Node>(RESOURCES.nodes, { ...made, status: { conditions: [ready("True")] } }, { subresource: "status" });
    const lease: Lease = { metadata: { name, namespace: "kube-node-lease" }, spec: { holderIdentity: name } };
    await client.create<Lease>(RESOURCES.leases, lease).catch((error: unknown) => {
      if (!isAlreadyExists(error)) throw error;
    });
  }
  let next = 1;
  const address = new Map<string, number>();
  const answer = async (pod: Pod): Promise<void> => {
    const { name, namespace = "", uid = "" } = pod.metadata;
    if (pod.spec.nodeName === undefined || !names.includes(pod.spec.nodeName)) return;
    if (pod.metadata.deletionTimestamp !== undefined) {
      await client.delete(RESOURCES.pods, { namespace, name }, { gracePeriodSeconds: 0, uid });
      return;
    }
    if (pod.status?.podIP !== undefined) return;
    const image = pod.spec.containers[0]?.image ?? "";
    const works = !image.includes(BROKEN);
    if (!address.has(uid)) address.set(uid, next++);
    const ip = `10.244.1.${address.get(uid)}`;
    const status = { ...pod.status, phase: "Running", podIP: ip, podIPs: [{ ip }], conditions: [ready(works ? "True" : "False")] };
    await client.update<Pod>(RESOURCES.pods, { ...pod, status }, { subresource: "status" });
  };
  const pods = createReflector<Pod>({ ...deps, resource: RESOURCES.pods });
  pods.subscribe((events) => {
    for (const e of events)
      if (e.type === "upsert")
        answer(e.object).catch((error: unknown) => {
          if (!signal.aborted) deps.log("stand_in_failed", { message: error instanceof Error ? error.message : String(error) });
        });
  });
  void pods.run(signal);
  void renew(names, client, async () => world.sleep(RENEW_MS, signal)).catch((error: unknown) => {
    if (!signal.aborted) deps.log("stand_in_failed", { message: error instanceof Error ? error.message : String(error) });
  });
  await pods.synced(signal);
};

const renew = async (names: readonly string[], client: KubeClient, wait: () => Promise<void>): Promise<never> => {
  for (;;) {
    await wait();
    for (const name of names) {
      const body = { spec: { renewTime: new Date().toISOString().replace("Z", "000Z") } };
      await client.patch<Lease>(RESOURCES.leases, { namespace: "kube-node-lease", name }, { type: "merge", body });
    }
  }
};
