// How is a request for a resource answered?

import { checkEscalation } from "../auth/escalation.ts";
import { authorize, type ResourceAttributes, refusalText } from "../auth/rbac.ts";
import { serveReview, serveTokenRequest } from "../auth/serve.ts";
import { serveLog } from "../kubelet/connect.ts";
import { ApiError, badRequest, forbidden, methodNotAllowed, noSuchResource, notFound } from "../model/errors.ts";
import { planList } from "../read/list.ts";
import { listText, objectText, type View } from "../read/present.ts";
import { type Selection, selects } from "../read/select.ts";
import type { ApiResource } from "../registry/types.ts";
import { StorageError } from "../storage/log.ts";
import { appeared } from "../storage/watch.ts";
import { serveWatch } from "../watch/serve.ts";
import { planBinding } from "../write/binding.ts";
import { planCreate } from "../write/create.ts";
import { deleteOptions, planDelete } from "../write/delete.ts";
import { planFinalize } from "../write/finalize.ts";
import { patchTypeOf, planPatch } from "../write/patch.ts";
import type { Planned, Target } from "../write/plan.ts";
import { planScale, scaleOf } from "../write/scale.ts";
import { planUpdate } from "../write/update.ts";
import type { Api, Exchange } from "./api.ts";
import { mediaType, parseBody, requireBody } from "./body.ts";
import { encodingOf, listOptions, writeOptions } from "./options.ts";
import { type RequestVerb, type ResourcePath, verbOf } from "./path.ts";

type Call = {
  readonly x: Exchange;
  readonly path: ResourcePath;
  readonly verb: RequestVerb;
  readonly resource: ApiResource;
  readonly api: Api;
};

const isWatch = (x: Exchange): boolean => {
  const v = x.url.searchParams.get("watch");
  return v !== null && v !== "false" && v !== "0";
};

/** Throws 403 in Kubernetes' words unless the user may. */
export const requireAllowed = (x: Pick<Exchange, "user">, a: ResourceAttributes, api: Api): void => {
  if (!authorize(x.user, a, api.store.committed).allowed) throw forbidden(a, a.name, refusalText(x.user, a));
};

const viewOf = (x: Exchange, api: Api): View => {
  const encoding = encodingOf(x.header("accept"));
  if (encoding === undefined) throw new ApiError(406, "NotAcceptable", "only the following media types are accepted: application/json", {});
  const include = x.url.searchParams.get("includeObject");
  return { encoding, include: include === "None" || include === "Object" ? include : "Metadata", now: api.world.now() };
};

const JSON_TYPE = { "content-type": "application/json" };

const sendObject = ({ x, resource, api }: Call, planned: Pick<Planned, "object" | "code">): void =>
  x.send(planned.code, objectText(resource, planned.object, viewOf(x, api)), JSON_TYPE);

/** Makes the planned write durable; the answer goes out only afterwards. */
const commit = async (api: Api, planned: Planned, dryRun: boolean): Promise<Planned> => {
  if (dryRun || planned.write === undefined) return planned;
  const { bucket, key, object } = planned.write;
  const staged = api.store.stage(bucket, key, object);
  await staged.durable;
  return { ...planned, object: staged.object };
};

const answer = async (call: Call, planned: Planned, dryRun: boolean): Promise<void> => {
  checkEscalation(call.x.user, { resource: call.resource, object: planned.object }, call.api.store.committed);
  for (const w of planned.warnings) call.x.warn(w);
  sendObject(call, await commit(call.api, planned, dryRun));
};

const selectionOf = ({ path, resource }: Call, options: Pick<Selection, "labels" | "fields">): Selection => ({
  resource,
  namespace: path.namespace,
  labels: options.labels,
  fields: path.name === undefined ? options.fields : [...options.fields, { field: "metadata.name", equal: true, value: path.name }],
});

const serveList = (call: Call): void => {
  const { x, resource, api } = call;
  const options = listOptions(x.url.searchParams);
  const { store } = api;
  const listed = planList(selectionOf(call, options), options, {
    now: store.committed.list,
    snapshot: store.snapshot,
    revision: store.revision,
  });
  x.send(200, listText(resource, listed.items, { view: viewOf(x, api), metadata: listed.metadata }), JSON_TYPE);
};

const serveWatchRequest = async (call: Call): Promise<void> => {
  const { x, api } = call;
  const options = listOptions(x.url.searchParams);
  const selection = selectionOf(call, options);
  const view = viewOf(x, api);
  let out: ReturnType<Exchange["stream"]> | undefined;
  const open = () => {
    out ??= x.stream(200, JSON_TYPE);
    return out;
  };
  // The head goes out with the first write, after the request has been found good.
  const sink = {
    write: (t: string) => void open().write(t),
    backlog: () => open().backlog(),
    end: () => open().end(),
    abort: () => open().abort(),
  };
  const signal = AbortSignal.any([x.signal, api.registry.lifetime(call.resource)]);
  await serveWatch({ selection, options, view }, sink, {
    deps: { store: api.store, world: api.world, bookmarkMs: api.bookmarkMs },
    signal,
  });
};

const targetOf = ({ path, resource }: Call): Target => ({
  resource,
  namespace: path.namespace,
  name: path.name ?? "",
  ...(path.subresource === undefined ? {} : { subresource: path.subresource }),
});

const serveGet = (call: Call): void => {
  const { resource, path, api } = call;
  const name = path.name ?? "";
  const found = api.store.committed.get(resource.bucket, resource.namespaced ? `${path.namespace}/${name}` : name);
  if (found === undefined) throw notFound(resource, name);
  sendObject(call, { object: found, code: 200 });
};

/** A namespace's first pod may come just before its "default" ServiceAccount, which a controller makes: kube-apiserver waits too. */
const ACCOUNT_WAIT_MS = 2000;

const defaultAccount = async ({ resource, path, x, api }: Call): Promise<void> => {
  if (resource.bucket !== "/pods" || api.store.latest.get("/namespaces", path.namespace ?? "") === undefined) return;
  const wanted = { bucket: "/serviceaccounts", key: `${path.namespace}/default`, ms: ACCOUNT_WAIT_MS };
  await appeared(api.store, wanted, { world: api.world, signal: x.signal });
};

const serveCreate = async (call: Call): Promise<void> => {
  const { x, resource, path, api } = call;
  const options = writeOptions(x.url.searchParams, x.header("user-agent"));
  const body = requireBody(await x.body(), x.header("content-type"));
  await defaultAccount(call);
  if (resource.storedOnly === true) x.warn(`${resource.kind} is stored, but nothing in this cluster acts on it`);
  const planned = planCreate({ resource, namespace: path.namespace, body, options }, api.writeEnv());
  await answer(call, planned, options.dryRun);
};

const serveUpdate = async (call: Call): Promise<void> => {
  const { x, api } = call;
  const options = writeOptions(x.url.searchParams, x.header("user-agent"));
  const body = requireBody(await x.body(), x.header("content-type"));
  await answer(call, planUpdate({ target: targetOf(call), body, options }, api.writeEnv()), options.dryRun);
};

const servePatch = async (call: Call): Promise<void> => {
  const { x, resource, api } = call;
  const type = patchTypeOf(mediaType(x.header("content-type")), resource.custom !== undefined);
  const options = writeOptions(x.url.searchParams, x.header("user-agent"));
  if (type === "apply" && (x.url.searchParams.get("fieldManager") ?? "") === "")
    throw badRequest('PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch');
  const patch = requireBody(await x.body(), x.header("content-type"));
  if (type === "apply") await defaultAccount(call);
  await answer(call, planPatch({ target: targetOf(call), type, patch, options }, api.writeEnv()), options.dryRun);
};

/** The Status that answers a deletion which ended at once. */
const deletedStatus = (planned: Planned, { resource }: Call): string =>
  JSON.stringify({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    details: {
      name: planned.object.metadata.name,
      ...(resource.group === "" ? {} : { group: resource.group }),
      kind: resource.resource,
      uid: planned.object.metadata.uid,
    },
  });

const serveDelete = async (call: Call): Promise<void> => {
  const { x, api } = call;
  const options = deleteOptions(parseBody(await x.body(), x.header("content-type")), x.url.searchParams);
  const done = await commit(api, planDelete(targetOf(call), options, api.writeEnv()), options.dryRun);
  if (done.removed === true) x.send(200, deletedStatus(done, call), JSON_TYPE);
  else sendObject(call, done);
};

const serveDeleteCollection = async (call: Call): Promise<void> => {
  const { x, resource, api } = call;
  const options = deleteOptions(parseBody(await x.body(), x.header("content-type")), x.url.searchParams);
  const selection = selectionOf(call, listOptions(x.url.searchParams));
  const env = api.writeEnv();
  const doomed = env.view.list(resource.bucket, call.path.namespace).filter((o) => selects(selection, o));
  // All are staged in one turn and so become durable in one transaction.
  const done = await Promise.all(
    doomed.map((o) => {
      const target: Target = { resource, namespace: o.metadata.namespace, name: o.metadata.name ?? "" };
      return commit(api, planDelete(target, options, env), options.dryRun);
    }),
  );
  const metadata = { resourceVersion: String(api.store.revision()) };
  x.send(
    200,
    listText(
      resource,
      done.map((d) => d.object),
      { view: viewOf(x, api), metadata },
    ),
    JSON_TYPE,
  );
};

const serveScale = async (call: Call): Promise<void> => {
  const { x, resource, api } = call;
  const target = targetOf(call);
  if (call.verb === "get") {
    const found = api.store.committed.get(resource.bucket, `${target.namespace}/${target.name}`);
    if (found === undefined) throw notFound(resource, target.name);
    x.send(200, JSON.stringify(scaleOf(resource, found)), JSON_TYPE);
    return;
  }
  if (call.verb !== "update" && call.verb !== "patch") throw methodNotAllowed();
  const options = writeOptions(x.url.searchParams, x.header("user-agent"));
  const type = call.verb === "patch" ? patchTypeOf(mediaType(x.header("content-type")), false) : undefined;
  const body = requireBody(await x.body(), x.header("content-type"));
  const planned = await commit(api, planScale({ target, type, body, options }, api.writeEnv()), options.dryRun);
  x.send(200, JSON.stringify(scaleOf(resource, planned.object)), JSON_TYPE);
};

const success = (code: number): string => JSON.stringify({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code });

const serveBinding = async (call: Call): Promise<void> => {
  if (call.verb !== "create") throw methodNotAllowed();
  const body = requireBody(await call.x.body(), call.x.header("content-type"));
  const options = writeOptions(call.x.url.searchParams, call.x.header("user-agent"));
  await commit(call.api, planBinding(targetOf(call), body, call.api.writeEnv()), options.dryRun);
  call.x.send(201, success(201), JSON_TYPE);
};

const serveFinalize = async (call: Call): Promise<void> => {
  if (call.verb !== "update") throw methodNotAllowed();
  const body = requireBody(await call.x.body(), call.x.header("content-type"));
  sendObject(call, await commit(call.api, planFinalize(targetOf(call), body, call.api.writeEnv()), false));
};

const serveEviction = async (call: Call): Promise<void> => {
  if (call.verb !== "create") throw methodNotAllowed();
  const body = parseBody(await call.x.body(), call.x.header("content-type"));
  const options = deleteOptions(
    typeof body === "object" && body !== null && "deleteOptions" in body ? body.deleteOptions : undefined,
    new URLSearchParams(),
  );
  await commit(call.api, planDelete({ ...targetOf(call), subresource: undefined }, options, call.api.writeEnv()), options.dryRun);
  call.x.send(201, success(201), JSON_TYPE);
};

const serveStatus = async (call: Call): Promise<void> => {
  switch (call.verb) {
    case "get":
      return serveGet(call);
    case "update":
      return serveUpdate(call);
    case "patch":
      return servePatch(call);
    default:
      throw methodNotAllowed();
  }
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

/** A failure of storage as the client reads it; other errors as they are. */
export const asApiError = (e: unknown): ApiError | undefined => {
  if (e instanceof ApiError) return e;
  if (e instanceof StorageError)
    return new ApiError(500, "InternalError", e.message, { causes: [{ reason: "InternalError", message: e.message }] }, { cause: e });
  return undefined;
};
