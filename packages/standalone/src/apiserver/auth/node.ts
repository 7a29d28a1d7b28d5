// What may a node's kubelet not write, though its role would let it? (plugin/pkg/admission/noderestriction)

import { type KubeObject, obj, str } from "../model/object.ts";
import type { User } from "./user.ts";

const NODES = "system:nodes";
const PREFIX = "system:node:";

/** The node whose kubelet the user is; undefined for every other user. */
export const nodeOf = (user: User): string | undefined =>
  user.groups.includes(NODES) && user.name.startsWith(PREFIX) ? user.name.slice(PREFIX.length) : undefined;

export type NodeWrite = {
  readonly verb: "create" | "update" | "delete" | "token";
  readonly bucket: string;
  readonly name: string;
  /** The object as it is before the write (after it, for create). */
  readonly object: KubeObject | undefined;
};

const quoted = JSON.stringify;

const podRefusal = (node: string, { verb, object }: NodeWrite): string | undefined => {
  const own = str(obj(object?.spec).nodeName) === node;
  if (verb === "create") {
    if (object?.metadata.annotations?.["kubernetes.io/config.mirror"] === undefined)
      return `pod does not have "kubernetes.io/config.mirror" annotation, node ${quoted(node)} can only create mirror pods`;
    return own ? undefined : `node ${quoted(node)} can only create pods with spec.nodeName set to itself`;
  }
  if (own) return undefined;
  return verb === "delete"
    ? `node ${quoted(node)} can only delete pods with spec.nodeName set to itself`
    : `node ${quoted(node)} can only update pod status for pods with spec.nodeName set to itself`;
};

/** `object` is the pod a token is bound to. */
const tokenRefusal = (node: string, { object }: NodeWrite): string | undefined => {
  if (object === undefined) return "node requested token not bound to a pod";
  return str(obj(object.spec).nodeName) === node ? undefined : "node requested token bound to a pod scheduled on a different node";
};

/** Why a kubelet may not do this; undefined when it may, and for users that are no kubelet. */
export const nodeRefusal = (user: User, write: NodeWrite): string | undefined => {
  const node = nodeOf(user);
  if (node === undefined) return undefined;
  if (write.verb === "token") return tokenRefusal(node, write);
  switch (write.bucket) {
    case "/nodes":
      return write.name === node ? undefined : `node ${quoted(node)} is not allowed to modify node ${quoted(write.name)}`;
    case "coordination.k8s.io/leases":
      return write.name === node ? undefined : `can only access node lease with the same name as the requesting node`;
    case "/pods":
      return podRefusal(node, write);
    default:
      return undefined;
  }
};
