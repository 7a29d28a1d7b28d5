// What does a downward API field of a pod say?

import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";

/** What is known of a pod's place beyond its object: its addresses may be newer than its status. */
export type PodPlace = { readonly node: string; readonly hostIPs: readonly string[]; readonly podIPs: readonly string[] };

const mapText = (map: Readonly<Record<string, string>> | undefined): string =>
  Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([k, v]) => `${k}=${JSON.stringify(v)}`)
    .join("\n");

/** The value of `fieldRef.fieldPath`; an absent label or annotation is the empty string, an unknown path an error. */
export const fieldValue = (path: string, pod: Pod, place: PodPlace): Result<string> => {
  const keyed = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path);
  if (keyed !== null) return ok((keyed[1] === "labels" ? pod.metadata.labels : pod.metadata.annotations)?.[keyed[2] ?? ""] ?? "");
  switch (path) {
    case "metadata.name":
      return ok(pod.metadata.name);
    case "metadata.namespace":
      return ok(pod.metadata.namespace ?? "default");
    case "metadata.uid":
      return ok(pod.metadata.uid ?? "");
    case "metadata.labels":
      return ok(mapText(pod.metadata.labels));
    case "metadata.annotations":
      return ok(mapText(pod.metadata.annotations));
    case "spec.nodeName":
      return ok(place.node);
    case "spec.serviceAccountName":
      return ok(pod.spec.serviceAccountName ?? "default");
    case "status.hostIP":
      return ok(place.hostIPs[0] ?? "");
    case "status.hostIPs":
      return ok(place.hostIPs.join(","));
    case "status.podIP":
      return ok(place.podIPs[0] ?? "");
    case "status.podIPs":
      return ok(place.podIPs.join(","));
    default:
      return err(`the field ${path} cannot be given to a container`);
  }
};

const SUFFIX: Readonly<Record<string, number>> = {
  "": 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** A Kubernetes quantity ("500m", "1Gi", "1e3") as a number. */
export const quantity = (text: string): Result<number> => {
  const m = /^([+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)(m|k|[MGTPE]i?|Ki)?$/.exec(text);
  const factor = SUFFIX[m?.[2] ?? ""];
  if (m === null || factor === undefined) return err(`"${text}" is not a quantity such as 500m or 1Gi`);
  return ok(Number(m[1]) * factor);
};

/** What a container may use when it sets no limit: the node's capacity. */
export type NodeCapacity = { readonly cpu: number; readonly memoryBytes: number };

export type ResourceRef = { readonly containerName?: string; readonly resource: string; readonly divisor?: string };

/** The value of `resourceFieldRef`, divided and rounded up as Kubernetes does. */
export const resourceValue = (
  ref: ResourceRef,
  pod: Pod,
  from: { readonly container: string; readonly capacity: NodeCapacity },
): Result<string> => {
  const name = ref.containerName ?? from.container;
  const container = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find((c) => c.name === name);
  if (container === undefined) return err(`there is no container ${name}`);
  const m = /^(limits|requests)\.(cpu|memory|ephemeral-storage)$/.exec(ref.resource);
  if (m === null) return err(`the resource ${ref.resource} cannot be given to a container`);
  const [, kind = "", resource = ""] = m;
  const resources = container.resources;
  const set = kind === "limits" ? resources?.limits?.[resource] : (resources?.requests?.[resource] ?? resources?.limits?.[resource]);
  const fallback = kind === "requests" ? 0 : resource === "cpu" ? from.capacity.cpu : from.capacity.memoryBytes;
  const value = set === undefined ? ok(fallback) : quantity(set);
  const divisor = quantity(ref.divisor === undefined || ref.divisor === "0" ? "1" : ref.divisor);
  if (!value.ok) return value;
  if (!divisor.ok) return divisor;
  return ok(String(Math.ceil(value.value / divisor.value - 1e-9)));
};
