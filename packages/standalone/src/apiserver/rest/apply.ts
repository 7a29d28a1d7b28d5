// How is a planned write checked, made durable and answered?

import { checkEscalation } from "../auth/escalation.ts";
import { type NodeWrite, nodeRefusal } from "../auth/node.ts";
import { authorize, type ResourceAttributes, refusalText } from "../auth/rbac.ts";
import { ApiError, forbidden } from "../model/errors.ts";
import type { KubeObject } from "../model/object.ts";
import { objectText, type View } from "../read/present.ts";
import type { ApiResource } from "../registry/types.ts";
import { StorageError } from "../storage/log.ts";
import { keyFor, type Planned, type Target } from "../write/plan.ts";
import type { Api, Exchange } from "./api.ts";
import { encodingOf } from "./options.ts";
import type { RequestVerb, ResourcePath } from "./path.ts";

/** One authorized request for a resource. */
export type Call = {
  readonly x: Exchange;
  readonly path: ResourcePath;
  readonly verb: RequestVerb;
  readonly resource: ApiResource;
  readonly api: Api;
};

/** Throws 403 in Kubernetes' words unless the user may. */
export const requireAllowed = (x: Pick<Exchange, "user">, a: ResourceAttributes, api: Api): void => {
  if (!authorize(x.user, a, api.store.committed).allowed) throw forbidden(a, a.name, refusalText(x.user, a));
};

export const viewOf = (x: Exchange, api: Api): View => {
  const encoding = encodingOf(x.header("accept"));
  if (encoding === undefined) throw new ApiError(406, "NotAcceptable", "only the following media types are accepted: application/json", {});
  const include = x.url.searchParams.get("includeObject");
  return { encoding, include: include === "None" || include === "Object" ? include : "Metadata", now: api.world.now() };
};

export const JSON_TYPE = { "content-type": "application/json" };

export const sendObject = ({ x, resource, api }: Call, planned: Pick<Planned, "object" | "code">): void =>
  x.send(planned.code, objectText(resource, planned.object, viewOf(x, api)), JSON_TYPE);

/** Makes the planned write durable; the answer goes out only afterwards. */
export const commit = async (api: Api, planned: Planned, dryRun: boolean): Promise<Planned> => {
  if (dryRun || planned.write === undefined) return planned;
  const { bucket, key, object } = planned.write;
  const staged = api.store.stage(bucket, key, object);
  await staged.durable;
  return { ...planned, object: staged.object };
};

/** Holds a kubelet to its own node; `object` is what the write starts from. */
export const checkNode = ({ x, resource }: Call, write: Pick<NodeWrite, "verb" | "object" | "name">): void => {
  const why = nodeRefusal(x.user, { ...write, bucket: resource.bucket });
  if (why !== undefined) throw forbidden(resource, write.name, why);
};

export const liveOf = (call: Call): KubeObject | undefined => call.api.store.latest.get(call.resource.bucket, keyFor(targetOf(call)));

/** Checks a create, update or patch, makes it durable and sends the object. */
export const answer = async (call: Call, planned: Planned, dryRun: boolean): Promise<void> => {
  const name = planned.object.metadata.name ?? "";
  if (planned.code === 201) checkNode(call, { verb: "create", name, object: planned.object });
  else checkNode(call, { verb: "update", name, object: liveOf(call) });
  checkEscalation(call.x.user, { resource: call.resource, object: planned.object }, call.api.store.committed);
  for (const w of planned.warnings) call.x.warn(w);
  sendObject(call, await commit(call.api, planned, dryRun));
};

export const targetOf = ({ path, resource }: Call): Target => ({
  resource,
  namespace: path.namespace,
  name: path.name ?? "",
  ...(path.subresource === undefined ? {} : { subresource: path.subresource }),
});

/** A failure of storage as the client reads it; other errors as they are. */
export const asApiError = (e: unknown): ApiError | undefined => {
  if (e instanceof ApiError) return e;
  if (e instanceof StorageError)
    return new ApiError(500, "InternalError", e.message, { causes: [{ reason: "InternalError", message: e.message }] }, { cause: e });
  return undefined;
};
