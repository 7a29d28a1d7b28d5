// What address does the person mean by host:port? (a pod asks cluster DNS; here the API server answers)

import { parseIp } from "@ambit/shared/addr/ip.ts";
import { parseHostPort, type SocketAddr } from "@ambit/shared/addr/socket.ts";
import type { KubeClient } from "@ambit/shared/kube/client.ts";
import type { Service } from "@ambit/shared/kube/objects/core.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { UserError } from "./mesh.ts";

/** The Service names a host may stand for, seen from a namespace: "a", "a.ns", "a.ns.svc", "a.ns.svc.<domain>". */
export const serviceNames = (host: string, namespace: string): { namespace: string; name: string } | undefined => {
  const [name, ns, svc, ...domain] = host.split(".");
  if (name === undefined || name === "") return undefined;
  if (ns === undefined) return { namespace, name };
  if (svc === undefined || (svc === "svc" && (domain.length === 0 || domain.join(".") === "cluster.local"))) return { namespace: ns, name };
  return undefined;
};

export type Target = { readonly to: SocketAddr; readonly host: string; readonly service: string | undefined };

/** UserError when the text is not host:port, or names nothing that a pod of the namespace could reach by it. */
export const resolveTarget = async (client: KubeClient, text: string, namespace: string): Promise<Target> => {
  const parsed = parseHostPort(text);
  if (!parsed.ok) throw new UserError(`${text}: want host:port, such as reviews:9080 or 10.0.0.1:80`);
  const { host, port } = parsed.value;
  const ip = parseIp(host);
  if (ip.ok) return { to: { ip: ip.value, port }, host: text, service: undefined };
  const key = serviceNames(host, namespace);
  const service = key === undefined ? undefined : await client.get<Service>(RESOURCES.services, key);
  if (key === undefined || service === undefined)
    throw new UserError(`${host} is not a Service that namespace ${namespace} can see under that name`);
  const vip = service.spec?.clusterIP;
  if (vip === undefined || vip === "None" || vip === "")
    throw new UserError(`Service ${key.namespace}/${key.name} has no cluster IP: give the address of one of its pods`);
  return { to: { ip: unwrap(parseIp(vip)), port }, host: text, service: `${key.namespace}/${key.name}` };
};
