// How is a request for a resource routed?

import { serveReview, serveTokenRequest } from "../auth/serve.ts";
import { serveLog } from "../kubelet/connect.ts";
import { badRequest, methodNotAllowed, noSuchResource } from "../model/errors.ts";
import { serveGet, serveList, serveWatchRequest } from "../read/serve.ts";
import { serveBinding, serveEviction, serveFinalize, serveScale, serveStatus } from "../subresource/serve.ts";
import { serveCreate, serveDelete, serveDeleteCollection, servePatch, serveUpdate } from "../write/serve.ts";
import type { Api, Exchange } from "./api.ts";
import { type Call, requireAllowed } from "./apply.ts";
import { type ResourcePath, verbOf } from "./path.ts";

const isWatch = (x: Exchange): boolean => {
  const v = x.url.searchParams.get("watch");
  return v !== null && v !== "false" && v !== "0";
};

const serveSubresource = async (call: Call): Promise<void> => {
  const { resource: r, path: p } = call;
  const is = (bucket: string, sub: string) => r.bucket === bucket && p.subresource === sub;
  if (p.subresource === "status" && r.status) return serveStatus(call);
  if (p.subresource === "scale" && r.scale !== undefined) return serveScale(call);
  if (is("/pods", "binding")) return serveBinding(call);
  if (is("/pods", "eviction")) return serveEviction(call);
  if (is("/pods", "log") && call.verb === "get") return serveLog(call.x, p, call.api);
  if (is("/pods", "exec") || is("/pods", "attach") || is("/pods", "portforward"))
    throw badRequest("Upgrade request required: the connection must be upgraded to WebSocket or SPDY");
  if (is("/namespaces", "finalize")) return serveFinalize(call);
  if (is("/serviceaccounts", "token") && call.verb === "create") return serveTokenRequest(call.x, p, call.api);
  throw noSuchResource();
};

const serveMain = async (call: Call): Promise<void> => {
  const deprecated = call.resource.custom?.deprecated;
  if (deprecated !== undefined) call.x.warn(deprecated);
  switch (call.verb) {
    case "get":
      return serveGet(call);
    case "list":
      return serveList(call);
    case "watch":
      return serveWatchRequest(call);
    case "create":
      if (call.path.name !== undefined || (call.resource.namespaced && call.path.namespace === undefined)) throw methodNotAllowed();
      return serveCreate(call);
    case "update":
      return serveUpdate(call);
    case "patch":
      return servePatch(call);
    case "delete":
      return serveDelete(call);
    case "deletecollection":
      return serveDeleteCollection(call);
  }
};

/** Authorizes and answers one request for a resource path. Throws ApiError for every refusal. */
export const serveResource = async (x: Exchange, path: ResourcePath, api: Api): Promise<void> => {
  const verb = verbOf(x.method, path, isWatch(x));
  if (verb === undefined) throw methodNotAllowed();
  const { group, version, resource: plural, namespace, name, subresource } = path;
  // Requests on a namespace itself are authorized as in that namespace, as kube-apiserver does.
  const scope = group === "" && plural === "namespaces" ? name : namespace;
  requireAllowed(x, { kind: "resource", verb, group, resource: plural, subresource, namespace: scope, name }, api);
  const virtual = api.registry.virtual(group, version, plural);
  if (virtual !== undefined) {
    if (verb !== "create") throw methodNotAllowed();
    return serveReview(x, { resource: virtual, namespace }, api);
  }
  const resource = api.registry.find(group, version, plural);
  if (resource === undefined || (!resource.namespaced && namespace !== undefined)) throw noSuchResource();
  if (resource.namespaced && namespace === undefined && name !== undefined) throw noSuchResource();
  const call: Call = { x, path, verb, resource, api };
  return subresource === undefined ? serveMain(call) : serveSubresource(call);
};
