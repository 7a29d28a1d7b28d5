// Which kubelet, and which of its URLs, serves a pod's logs, exec, attach or port-forward?

import { ApiError, badRequest, notFound } from "../model/errors.ts";
import { obj, objects, str } from "../model/object.ts";
import type { ObjectView } from "../registry/types.ts";

export const SOCKET_ANNOTATION = "ambit.dev/kubelet-socket";
const DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container";

export type PodCall = { readonly namespace: string; readonly name: string; readonly subresource: string; readonly query: URLSearchParams };

export type KubeletTarget = { readonly socketPath: string; readonly path: string };

/** kubelet's own URL names (pkg/kubelet/server/server.go). */
const PATHS: { readonly [subresource: string]: string } = {
  log: "containerLogs",
  exec: "exec",
  attach: "attach",
  portforward: "portForward",
};

const names = (containers: unknown): string[] => objects(containers).flatMap((c) => str(c.name) ?? []);

const containerOf = (
  spec: { readonly [k: string]: unknown },
  asked: string | null,
  { pod, preferred }: { pod: string; preferred: string | undefined },
): string => {
  const main = names(spec.containers);
  const all = [...main, ...names(spec.initContainers), ...names(spec.ephemeralContainers)];
  if (asked !== null && asked !== "") {
    if (all.includes(asked)) return asked;
    throw badRequest(`container ${asked} is not valid for pod ${pod}`);
  }
  if (preferred !== undefined && all.includes(preferred)) return preferred;
  const only = main[0];
  if (main.length === 1 && only !== undefined) return only;
  throw badRequest(`a container name must be specified for pod ${pod}, choose one of: [${main.join(" ")}]`);
};

/** Throws 404 for an unknown pod, 400 for an unknown container or a pod without node, 503 when the node names no kubelet. */
export const kubeletTarget = ({ namespace, name, subresource, query }: PodCall, view: ObjectView): KubeletTarget => {
  const pod = view.get("/pods", `${namespace}/${name}`);
  if (pod === undefined) throw notFound({ group: "", resource: "pods" }, name);
  const spec = obj(pod.spec);
  const kind = PATHS[subresource];
  if (kind === undefined) throw badRequest(`pods/${subresource} is not served by a kubelet`);
  const rest = new URLSearchParams(query);
  rest.delete("container");
  const preferred = pod.metadata.annotations?.[DEFAULT_CONTAINER];
  const container = subresource === "portforward" ? undefined : containerOf(spec, query.get("container"), { pod: name, preferred });
  const node = str(spec.nodeName);
  if (node === undefined || node === "") throw badRequest(`pod ${name} does not have a host assigned`);
  const socketPath = view.get("/nodes", node)?.metadata.annotations?.[SOCKET_ANNOTATION];
  if (socketPath === undefined)
    throw new ApiError(503, "ServiceUnavailable", `node ${node} has no annotation ${SOCKET_ANNOTATION}: its kubelet cannot be reached`, {});
  const parts = ["", kind, namespace, name, ...(container === undefined ? [] : [container])].map(encodeURIComponent).join("/");
  const text = rest.toString();
  return { socketPath, path: text === "" ? parts : `${parts}?${text}` };
};
