// What of a sent object is accepted: schema, defaults, unknown fields, kind and namespace agreeing with the URL?

import { badRequest, type Cause, invalid } from "../model/errors.ts";
import { apiVersionOf, isObject, type JsonObject, type KubeObject, obj } from "../model/object.ts";
import type { ApiResource } from "../registry/types.ts";
import type { WriteOptions } from "../rest/options.ts";
import { schemaFor } from "../schema/builtin.ts";
import { applyBuiltinDefaults } from "../schema/defaulting.ts";
import type { JsonSchema } from "../schema/types.ts";
import { admit } from "../schema/validate.ts";

export const schemaOf = (r: ApiResource): JsonSchema | undefined => (r.custom === undefined ? schemaFor(r) : r.custom.schema);

/** The body as an object of the resource: apiVersion and kind filled in or refused, metadata present. */
export const asObjectOf = (r: ApiResource, body: unknown): KubeObject => {
  if (!isObject(body)) throw badRequest(`the request's body is no ${r.kind} object`);
  const wanted = apiVersionOf(r.group, r.version);
  const apiVersion = body.apiVersion ?? wanted;
  const kind = body.kind ?? r.kind;
  if (apiVersion !== wanted)
    throw badRequest(`the API version in the data (${String(apiVersion)}) does not match the expected API version (${wanted})`);
  if (kind !== r.kind) throw badRequest(`the kind in the data (${String(kind)}) does not match the expected kind (${r.kind})`);
  if (body.metadata !== undefined && body.metadata !== null && !isObject(body.metadata))
    throw badRequest(`${r.kind} in version "${r.version}" cannot be handled as a ${r.kind}: metadata must be an object`);
  return { ...body, apiVersion: wanted, kind: r.kind, metadata: { ...obj(body.metadata) } };
};

/** The object's namespace and name must agree with the URL's, where they are given. */
export const placeObject = (o: KubeObject, namespace: string | undefined, name: string | undefined): void => {
  const given = o.metadata.namespace;
  if (namespace === undefined) delete o.metadata.namespace;
  else if (given !== undefined && given !== "" && given !== namespace)
    throw badRequest(`the namespace of the provided object does not match the namespace sent on the request`);
  else o.metadata.namespace = namespace;
  if (name === undefined) return;
  if (o.metadata.name !== undefined && o.metadata.name !== "" && o.metadata.name !== name)
    throw badRequest(`the name of the object (${o.metadata.name}) does not match the name on the URL (${name})`);
  o.metadata.name = name;
};

export type Admitted = { readonly object: KubeObject; readonly warnings: readonly string[]; readonly causes: readonly Cause[] };

const asKubeObject = (o: JsonObject, like: KubeObject): KubeObject => ({
  ...o,
  apiVersion: like.apiVersion,
  kind: like.kind,
  metadata: isObject(o.metadata) ? o.metadata : {},
});

/** Schema, pruning and defaults. Unknown fields refuse (strict) or warn; type errors and missing fields come back as causes. */
export const admitted = (r: ApiResource, draft: KubeObject, validation: WriteOptions["validation"]): Admitted => {
  const filled = r.custom === undefined ? applyBuiltinDefaults(r, draft) : draft;
  const a = admit(schemaOf(r), filled, validation);
  const unknown = a.unknownFields.map((f) => (f.includes(" ") ? f : `unknown field "${f}"`));
  if (validation === "strict" && unknown.length > 0)
    throw badRequest(`${r.kind} in version "${r.version}" cannot be handled as a ${r.kind}: strict decoding error: ${unknown.join(", ")}`);
  return { object: asKubeObject(a.object, draft), warnings: validation === "warn" ? unknown : [], causes: a.causes };
};

/** Throws 422 when there are causes. */
export const refuse = (r: ApiResource, o: KubeObject, causes: readonly Cause[]): void => {
  if (causes.length > 0) throw invalid(r, o.metadata.name ?? "", causes);
};
