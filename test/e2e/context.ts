// What do all end-to-end suites share? One cluster with the mesh and the fixture's pods.
import type { Service } from "@ambit/shared/kube/objects/core.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import type { Cluster } from "../world/cluster.ts";
import { type HttpAnswer, type HttpAsk, http, type Place, podPlace } from "../world/net.ts";
import { until } from "../world/until.ts";

export type Context = {
  readonly cluster: Cluster;
  /** By "namespace/app"; looked up anew, as pods come and go. */
  pod(key: string): Promise<Pod>;
  place(key: string): Promise<Place>;
  ip(key: string, family?: 4 | 6): Promise<string>;
  vip(namespace: string, name: string, family?: 4 | 6): Promise<string>;
  /** HTTP from a pod to an address, with the JSON of the echo app when it is one. */
  ask(from: string, to: { host: string; port: number }, ask?: HttpAsk): Promise<HttpAnswer>;
  /** Lines of a ztunnel's access log on the pod's node that mention all the words. */
  ztunnelLog(node: string, ...words: string[]): Promise<string[]>;
  /** The policies that every ztunnel holds, as "ns/name". */
  policiesHeld(): Promise<string[][]>;
};

const split = (key: string): [string, string] => {
  const [namespace = "", app = ""] = key.split("/");
  return [namespace, app];
};

export const createContext = (cluster: Cluster): Context => {
  const pod = (key: string): Promise<Pod> => cluster.podOf(...split(key));
  const place = async (key: string): Promise<Place> => podPlace(cluster, await pod(key));
  return {
    cluster,
    pod,
    place,
    ip: async (key, family = 4) => {
      const p = await pod(key);
      const found = p.status?.podIPs?.map((i) => i.ip).find((ip) => ip.includes(":") === (family === 6));
      if (found === undefined) throw new Error(`${key} has no IPv${family} address: ${JSON.stringify(p.status?.podIPs)}`);
      return found;
    },
    vip: async (namespace, name, family = 4) => {
      const service = await cluster.client.get<Service>(RESOURCES.services, { namespace, name });
      const found = service?.spec?.clusterIPs?.find((ip) => ip.includes(":") === (family === 6));
      if (found === undefined) throw new Error(`Service ${namespace}/${name} has no IPv${family} VIP`);
      return found;
    },
    ask: async (from, to, ask) => http(await place(from), to, ask),
    ztunnelLog: async (node, ...words) => {
      const ztunnel = (await cluster.pods("istio-system", "app=ztunnel")).find((p) => p.spec?.nodeName === node);
      const log = await cluster.kubectl("-n", "istio-system", "logs", ztunnel?.metadata.name ?? "", "--tail=2000");
      return log.split("\n").filter((l) => words.every((w) => l.includes(w)));
    },
    policiesHeld: async () => {
      // One that has been replaced may still be draining.
      const ztunnels = (await cluster.pods("istio-system", "app=ztunnel")).filter((p) => p.metadata.deletionTimestamp === undefined);
      return Promise.all(
        ztunnels.map(async (z) => {
          const policies = JSON.parse(await cluster.ambit("zc", "policy", z.metadata.name, "-o", "json")) as {
            namespace: string;
            name: string;
          }[];
          return policies.map((p) => `${p.namespace}/${p.name}`);
        }),
      );
    },
  };
};

/** Until every pod of the fixture that must be captured is. */
export const allCaptured = (cluster: Cluster, namespace: string): Promise<true> =>
  until(
    `every pod of ${namespace} captured`,
    async () => {
      const pods = (await cluster.pods(namespace)).filter(
        (p) => p.spec?.hostNetwork !== true && p.metadata.deletionTimestamp === undefined,
      );
      return pods.length > 0 && pods.every((p) => p.metadata.annotations?.["ambient.istio.io/redirection"] === "enabled")
        ? true
        : undefined;
    },
    60_000,
  );
