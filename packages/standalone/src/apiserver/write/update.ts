// What does replacing an object (or its status) store?

import { type Cause, conflict, forbiddenField, invalid, MODIFIED, notFound } from "../model/errors.ts";
import { type KubeObject, list, type ObjectMeta, obj, sameJson } from "../model/object.ts";
import type { ApiResource, WriteEnv } from "../registry/types.ts";
import type { WriteOptions } from "../rest/options.ts";
import { admitted, asObjectOf, placeObject, refuse } from "./admit.ts";
import { book } from "./create.ts";
import { metadataCauses } from "./names.ts";
import { fromStored, keyFor, type Planned, type Target, toStored } from "./plan.ts";

export type UpdateRequest = {
  readonly target: Target;
  readonly body: unknown;
  readonly options: WriteOptions;
  /** Set when the body carries its managedFields already (server-side apply). */
  readonly applied?: true;
};

const SYSTEM_FIELDS = ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink"] as const;

/** What the server alone decides stays as it was. */
const keepSystemFields = (meta: ObjectMeta, old: ObjectMeta): ObjectMeta => {
  const out: ObjectMeta = { ...meta };
  for (const f of SYSTEM_FIELDS) {
    delete out[f];
    if (old[f] !== undefined) Object.assign(out, { [f]: old[f] });
  }
  if (old.generateName !== undefined) out.generateName = old.generateName;
  return out;
};

const checkPreconditions = ({ resource, name }: Target, sent: KubeObject, old: KubeObject): void => {
  const { resourceVersion = "", uid = "" } = sent.metadata;
  if (uid !== "" && uid !== old.metadata.uid)
    throw conflict(resource, name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`);
  if (resourceVersion !== "" && resourceVersion !== old.metadata.resourceVersion) throw conflict(resource, name, MODIFIED);
  if (resourceVersion === "" && resource.custom !== undefined)
    throw invalid(resource, name, [
      { reason: "FieldValueInvalid", message: "Invalid value: 0x0: must be specified for an update", field: "metadata.resourceVersion" },
    ]);
};

/** The new object before admission: what the subresource may change from the request, the rest from the old. */
const merged = (t: Target, sent: KubeObject, old: KubeObject): KubeObject => {
  const meta = keepSystemFields(sent.metadata, old.metadata);
  if (t.subresource !== "status") {
    const next: KubeObject = { ...sent, metadata: meta };
    if (!t.resource.status) return next;
    delete next.status;
    return old.status === undefined ? next : { ...next, status: old.status };
  }
  // A custom resource's status update changes nothing in metadata but managedFields; a built-in's may (kubelet's do).
  const { managedFields, ...rest } = old.metadata;
  const kept =
    t.resource.custom === undefined
      ? meta
      : { ...rest, ...(meta.managedFields === undefined ? {} : { managedFields: meta.managedFields }) };
  const next: KubeObject = { ...old, metadata: kept };
  delete next.status;
  return sent.status === undefined ? next : { ...next, status: sent.status };
};

const finalizerCauses = (next: KubeObject, old: KubeObject): Cause[] => {
  if (old.metadata.deletionTimestamp === undefined) return [];
  const fresh = (next.metadata.finalizers ?? []).filter((f) => !(old.metadata.finalizers ?? []).includes(f));
  if (fresh.length === 0) return [];
  const text = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${fresh.map((f) => JSON.stringify(f)).join(", ")}}`;
  return [forbiddenField("metadata.finalizers", text)];
};

/** Everything but metadata and status: what `metadata.generation` counts changes of. */
const desired = (r: ApiResource, o: KubeObject): KubeObject => {
  const out: KubeObject = { ...o, apiVersion: "", metadata: {} };
  if (r.status) delete out.status;
  return out;
};

const withoutTimes = (o: KubeObject): unknown => ({
  ...o,
  metadata: {
    ...o.metadata,
    resourceVersion: undefined,
    managedFields: (o.metadata.managedFields ?? []).map((m) => ({ ...m, time: undefined })),
  },
});

/** Nothing holds the object back any more: it goes with the write that removes its last finalizer. */
export const readyToGo = (o: KubeObject): boolean =>
  o.metadata.deletionTimestamp !== undefined &&
  (o.metadata.deletionGracePeriodSeconds ?? 0) === 0 &&
  (o.metadata.finalizers ?? []).length === 0 &&
  (o.kind !== "Namespace" || list(obj(o.spec).finalizers).length === 0);

export const planUpdate = (request: UpdateRequest, env: WriteEnv): Planned => {
  const { target, options } = request;
  const { resource: r } = target;
  const key = keyFor(target);
  const old = env.view.get(r.bucket, key);
  if (old === undefined) throw notFound(r, target.name);
  const shown = fromStored(r, old);
  const sent = structuredClone(asObjectOf(r, request.body));
  placeObject(sent, r.namespaced ? target.namespace : undefined, target.name);
  checkPreconditions(target, sent, old);
  const a = admitted(r, structuredClone(merged(target, sent, shown)), options.validation);
  const draft = toStored(r, a.object);
  r.strategy.defaults?.(draft);
  const by = { manager: options.manager, now: env.now, subresource: target.subresource };
  if (request.applied !== true) book(r, { before: old, after: draft }, by);
  if (target.subresource === undefined) r.strategy.onUpdate?.(draft, old, env);
  refuse(r, draft, [
    ...metadataCauses(draft, r.nameRule),
    ...a.causes,
    ...finalizerCauses(draft, old),
    ...(target.subresource === undefined
      ? [...(r.strategy.validate?.(draft) ?? []), ...(r.strategy.validateUpdate?.(draft, old) ?? [])]
      : []),
  ]);
  if (r.generation && target.subresource !== "status" && !sameJson(desired(r, draft), desired(r, old)))
    draft.metadata.generation = (old.metadata.generation ?? 0) + 1;
  if (sameJson(withoutTimes(draft), withoutTimes(old))) return { object: old, write: undefined, code: 200, warnings: a.warnings };
  if (readyToGo(draft))
    return { object: draft, write: { bucket: r.bucket, key, object: undefined }, code: 200, warnings: a.warnings, removed: true };
  return { object: draft, write: { bucket: r.bucket, key, object: draft }, code: 200, warnings: a.warnings };
};
