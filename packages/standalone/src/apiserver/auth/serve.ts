// How are tokens issued, and reviews answered?

import { randomUUID } from "node:crypto";
import { API_AUDIENCES, type BoundObject, readToken, signToken } from "../jwt/token.ts";
import { ApiError, badRequest, forbidden, internal, notFound } from "../model/errors.ts";
import { isObject, type JsonObject, obj, str, strings } from "../model/object.ts";
import type { ObjectView, VirtualResource } from "../registry/types.ts";
import type { Api, Exchange } from "../rest/api.ts";
import { requireBody } from "../rest/body.ts";
import type { ResourcePath } from "../rest/path.ts";
import { rfc3339 } from "../runtime/time.ts";
import { nodeRefusal } from "./node.ts";
import { accessStatus, boundMismatch, rulesStatus, selfStatus, tokenSpec } from "./reviews.ts";
import { tokenUser } from "./service-account.ts";
import { userInfo } from "./user.ts";

const JSON_TYPE = { "content-type": "application/json" };

const jsonBody = async (x: Exchange): Promise<JsonObject> => {
  const body = requireBody(await x.body(), x.header("content-type"));
  if (!isObject(body)) throw badRequest("the request's body is no object");
  return body;
};

/** status of a TokenReview. A token that does not verify is an answer, not a failure. */
const tokenStatus = (spec: JsonObject, api: Api): JsonObject => {
  const audiences = strings(spec.audiences);
  const claims = readToken(str(spec.token) ?? "", api.tokenKey, api.world.now() / 1000);
  if (!claims.ok) return { authenticated: false, user: {}, error: claims.error };
  const found = tokenUser(claims.value, audiences.length === 0 ? API_AUDIENCES : audiences, api.store.committed);
  if (!found.ok) return { authenticated: false, user: {}, error: found.error };
  return { authenticated: true, user: userInfo(found.value.user), audiences: found.value.audiences };
};

const statusOf = (kind: string, spec: JsonObject, { x, api }: { x: Exchange; api: Api }): JsonObject => {
  const view = api.store.committed;
  switch (kind) {
    case "TokenReview":
      return tokenStatus(spec, api);
    case "SubjectAccessReview":
    case "LocalSubjectAccessReview":
      return accessStatus(spec, undefined, view);
    case "SelfSubjectAccessReview":
      return accessStatus(spec, x.user, view);
    case "SelfSubjectRulesReview":
      return rulesStatus(spec, x.user, view);
    case "SelfSubjectReview":
      return selfStatus(x.user);
    default:
      throw internal(`no answer is known for ${kind}`);
  }
};

export const serveReview = async (
  x: Exchange,
  of: { resource: VirtualResource; namespace: string | undefined },
  api: Api,
): Promise<void> => {
  const { group, version, kind } = of.resource;
  const body = await jsonBody(x);
  if (body.kind !== undefined && body.kind !== kind)
    throw badRequest(`the kind in the data (${String(body.kind)}) does not match the expected kind (${kind})`);
  const spec = obj(body.spec);
  const status = statusOf(kind, spec, { x, api });
  const metadata = { ...obj(body.metadata), creationTimestamp: null, ...(of.namespace === undefined ? {} : { namespace: of.namespace }) };
  x.send(
    201,
    JSON.stringify({ kind, apiVersion: `${group}/${version}`, metadata, ...(kind === "SelfSubjectReview" ? {} : { spec }), status }),
    JSON_TYPE,
  );
};

type Bindings = { pod?: BoundObject; node?: BoundObject; secret?: BoundObject };

const uidOf = (
  view: ObjectView,
  bucket: string,
  { key, resource, wanted }: { key: string; resource: string; wanted: string | undefined },
): BoundObject => {
  const name = key.slice(key.indexOf("/") + 1);
  const found = view.get(bucket, key);
  const uid = found?.metadata.uid;
  if (uid === undefined) throw notFound({ group: "", resource }, name);
  if (wanted !== undefined && wanted !== uid)
    throw new ApiError(
      409,
      "Conflict",
      `Operation cannot be fulfilled on ${resource} "${name}": the UID in the bound object reference (${wanted}) does not match the UID in record (${uid})`,
      {},
    );
  return { name, uid };
};

/** POST serviceaccounts/<name>/token */
export const serveTokenRequest = async (x: Exchange, path: ResourcePath, api: Api): Promise<void> => {
  const body = await jsonBody(x);
  const view = api.store.committed;
  const [namespace, name] = [path.namespace ?? "", path.name ?? ""];
  const account = view.get("/serviceaccounts", `${namespace}/${name}`);
  if (account === undefined) throw notFound({ group: "", resource: "serviceaccounts" }, name);
  const spec = tokenSpec(body, API_AUDIENCES.slice(0, 1));
  if ("error" in spec) throw new ApiError(422, "Invalid", `TokenRequest.authentication.k8s.io "" is invalid: ${spec.error}`, {});
  const boundPod = spec.bound?.kind === "Pod" ? view.get("/pods", `${namespace}/${spec.bound.name}`) : undefined;
  const refusal = nodeRefusal(x.user, { verb: "token", bucket: "/serviceaccounts", name, object: boundPod });
  if (refusal !== undefined) throw forbidden({ group: "", resource: "serviceaccounts" }, name, refusal);
  const bindings: Bindings = {};
  if (spec.bound?.kind === "Pod") {
    const pod = uidOf(view, "/pods", { key: `${namespace}/${spec.bound.name}`, resource: "pods", wanted: spec.bound.uid });
    bindings.pod = pod;
    const mismatch = boundPod === undefined ? undefined : boundMismatch(boundPod, name);
    if (mismatch !== undefined) throw forbidden({ group: "", resource: "serviceaccounts" }, name, mismatch);
    const node = str(obj(boundPod?.spec).nodeName) ?? "";
    const nodeUid = view.get("/nodes", node)?.metadata.uid;
    if (nodeUid !== undefined) bindings.node = { name: node, uid: nodeUid };
  } else if (spec.bound?.kind === "Secret")
    bindings.secret = uidOf(view, "/secrets", { key: `${namespace}/${spec.bound.name}`, resource: "secrets", wanted: spec.bound.uid });
  else if (spec.bound?.kind === "Node")
    bindings.node = uidOf(view, "/nodes", { key: spec.bound.name, resource: "nodes", wanted: spec.bound.uid });
  const issuedAt = Math.floor(api.world.now() / 1000);
  const expires = issuedAt + spec.seconds;
  const token = signToken(
    {
      audiences: spec.audiences,
      namespace,
      serviceAccount: { name, uid: account.metadata.uid ?? "" },
      ...bindings,
      issuedAt,
      expires,
      id: randomUUID(),
    },
    api.tokenKey,
  );
  const answer = {
    kind: "TokenRequest",
    apiVersion: "authentication.k8s.io/v1",
    metadata: { name, namespace, creationTimestamp: rfc3339(api.world.now()) },
    spec: { audiences: spec.audiences, expirationSeconds: spec.seconds, boundObjectRef: obj(body.spec).boundObjectRef ?? null },
    status: { token, expirationTimestamp: rfc3339(expires * 1000) },
  };
  x.send(201, JSON.stringify(answer), JSON_TYPE);
};
