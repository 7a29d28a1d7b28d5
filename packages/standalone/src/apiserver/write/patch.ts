// What does a patch of any of the four kinds store?

import { type Conflict, conflictMessage, serverSideApply } from "../apply/apply.ts";
import { ApiError, badRequest, invalid, notFound } from "../model/errors.ts";
import { isObject, type KubeObject, obj } from "../model/object.ts";
import { applyJsonPatch } from "../patch/json.ts";
import { applyMergePatch } from "../patch/merge.ts";
import { applyStrategicMergePatch } from "../patch/strategic.ts";
import type { WriteEnv } from "../registry/types.ts";
import type { WriteOptions } from "../rest/options.ts";
import { admitted, asObjectOf, schemaOf } from "./admit.ts";
import { planCreate } from "./create.ts";
import { fromStored, keyFor, type Planned, type Target, untouched } from "./plan.ts";
import { planUpdate } from "./update.ts";

export type PatchType = "json" | "merge" | "strategic" | "apply";

export type PatchRequest = {
  readonly target: Target;
  readonly type: PatchType;
  readonly patch: unknown;
  readonly options: WriteOptions;
};

const MEDIA: { readonly [media: string]: PatchType } = {
  "application/json-patch+json": "json",
  "application/merge-patch+json": "merge",
  "application/strategic-merge-patch+json": "strategic",
  "application/apply-patch+yaml": "apply",
};

/** The patch type of a media type; throws 415 for any other, and for strategic patches of custom resources. */
export const patchTypeOf = (media: string, custom: boolean): PatchType => {
  const type = MEDIA[media];
  if (type !== undefined && !(custom && type === "strategic")) return type;
  const accepted = Object.keys(MEDIA).filter((m) => !(custom && MEDIA[m] === "strategic"));
  throw new ApiError(
    415,
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`,
    {},
  );
};

/** Applies one of the three patch types that need a live document; throws when the patch does not fit. */
export const patched = (
  type: Exclude<PatchType, "apply">,
  live: unknown,
  { patch, target }: Pick<PatchRequest, "patch" | "target">,
): unknown => {
  switch (type) {
    case "json": {
      const r = applyJsonPatch(live, patch);
      if (r.ok) return r.value;
      throw new ApiError(422, "Invalid", `the server rejected our request due to an error in our request: ${r.error}`, {});
    }
    case "merge":
      if (!isObject(patch)) throw badRequest("a merge patch must be an object");
      return applyMergePatch(live, patch);
    case "strategic": {
      const r = applyStrategicMergePatch(live, patch, schemaOf(target.resource));
      if (r.ok) return r.value;
      throw badRequest(r.error);
    }
  }
};

const conflictError = (conflicts: readonly Conflict[]): ApiError =>
  new ApiError(409, "Conflict", conflictMessage(conflicts), {
    causes: conflicts.map((c) => ({ reason: "FieldManagerConflict", message: `conflict with ${c.manager}`, field: c.field })),
  });

const planApply = ({ target, patch, options }: PatchRequest, old: KubeObject | undefined, env: WriteEnv): Planned => {
  const r = target.resource;
  const applied = asObjectOf(r, patch);
  if (applied.metadata.managedFields !== undefined) throw badRequest("metadata.managedFields must be nil");
  // Unknown fields are judged on what was sent; the merged object is admitted once more below.
  const { warnings } = admitted(
    r,
    structuredClone({ ...applied, metadata: { name: target.name, ...applied.metadata } }),
    options.validation,
  );
  const outcome = serverSideApply({
    live: old === undefined ? undefined : fromStored(r, old),
    applied: {
      ...applied,
      metadata: { name: target.name, ...(target.namespace === undefined ? {} : { namespace: target.namespace }), ...applied.metadata },
    },
    manager: options.manager,
    force: options.force,
    schema: schemaOf(r),
    now: env.now,
    ignore: untouched(r, target.subresource, [old ?? {}, applied]),
    ...(target.subresource === undefined ? {} : { subresource: target.subresource }),
  });
  if (outcome.kind === "conflict") throw conflictError(outcome.conflicts);
  if (outcome.kind === "invalid") throw badRequest(outcome.message);
  const quiet: WriteOptions = { ...options, validation: "ignore" };
  const body = { ...outcome.object, metadata: { ...obj(outcome.object.metadata) } };
  const plan =
    old === undefined
      ? planCreate({ resource: r, namespace: target.namespace, name: target.name, body, options: quiet, applied: true }, env)
      : planUpdate({ target, body, options: quiet, applied: true }, env);
  return { ...plan, warnings: [...warnings, ...plan.warnings] };
};

export const planPatch = (request: PatchRequest, env: WriteEnv): Planned => {
  const { target, type } = request;
  const r = target.resource;
  const old = env.view.get(r.bucket, keyFor(target));
  if (type === "apply" && (old !== undefined || target.subresource === undefined)) return planApply(request, old, env);
  if (old === undefined || type === "apply") throw notFound(r, target.name);
  const live = fromStored(r, old);
  const next = patched(type, live, request);
  if (!isObject(next)) throw badRequest("the patch does not leave an object");
  if (next.kind !== live.kind || next.apiVersion !== live.apiVersion)
    throw invalid(r, target.name, [{ reason: "FieldValueInvalid", message: "a patch cannot change apiVersion or kind", field: "kind" }]);
  const meta = obj(next.metadata);
  // A patch that says nothing of the version is applied to whatever is there.
  const body = { ...next, metadata: { ...meta, resourceVersion: meta.resourceVersion ?? live.metadata.resourceVersion } };
  return planUpdate({ target, body, options: request.options }, env);
};
