// What does creating an object store?

import { updateManagedFields } from "../apply/managed-fields.ts";
import { ApiError, alreadyExists, badRequest, forbidden, notFound } from "../model/errors.ts";
import { type KubeObject, obj, objects, str } from "../model/object.ts";
import type { ApiResource, WriteEnv } from "../registry/types.ts";
import type { WriteOptions } from "../rest/options.ts";
import { admitted, asObjectOf, placeObject, refuse, schemaOf } from "./admit.ts";
import { generatedName, metadataCauses } from "./names.ts";
import { type Planned, toStored, untouched } from "./plan.ts";

export type CreateRequest = {
  readonly resource: ApiResource;
  readonly namespace: string | undefined;
  /** The URL's name, for creating by apply. */
  readonly name?: string | undefined;
  readonly body: unknown;
  readonly options: WriteOptions;
  /** Set when the body carries its managedFields already (server-side apply). */
  readonly applied?: true;
};

/** Namespaced objects are only made in a namespace that exists and stays (admission plugin NamespaceLifecycle). */
const requireNamespace = (r: ApiResource, o: KubeObject, env: WriteEnv): void => {
  const namespace = o.metadata.namespace;
  if (!r.namespaced || namespace === undefined) return;
  const found = env.view.get("/namespaces", namespace);
  if (found === undefined) throw notFound({ group: "", resource: "namespaces" }, namespace);
  if (found.metadata.deletionTimestamp === undefined && str(obj(found.status).phase) !== "Terminating") return;
  const refusal = forbidden(r, o.metadata.name, `unable to create new content in namespace ${namespace} because it is being terminated`);
  throw new ApiError(refusal.code, refusal.reason, refusal.message, {
    ...refusal.details,
    causes: [{ reason: "NamespaceTerminating", message: `namespace ${namespace} is being terminated`, field: "metadata.namespace" }],
  });
};

const stampMetadata = (r: ApiResource, o: KubeObject, env: WriteEnv): void => {
  const m = o.metadata;
  if ((m.name === undefined || m.name === "") && m.generateName !== undefined && m.generateName !== "")
    m.name = generatedName(m.generateName, env.random);
  m.uid = env.newUid();
  m.creationTimestamp = env.now;
  if (r.generation) m.generation = 1;
  else delete m.generation;
  delete m.deletionTimestamp;
  delete m.deletionGracePeriodSeconds;
  delete m.selfLink;
  delete m.resourceVersion;
};

export const planCreate = (request: CreateRequest, env: WriteEnv): Planned => {
  const { resource: r, options } = request;
  const sent = structuredClone(asObjectOf(r, request.body));
  if ((sent.metadata.resourceVersion ?? "") !== "") throw badRequest("resourceVersion should not be set on objects to be created");
  placeObject(sent, r.namespaced ? request.namespace : undefined, request.name);
  if (r.status) delete sent.status;
  stampMetadata(r, sent, env);
  const a = admitted(r, sent, options.validation);
  const draft = toStored(r, a.object);
  requireNamespace(r, draft, env);
  r.strategy.defaults?.(draft);
  // Refused before anything is allocated for it; checked again after, because onCreate may add to it.
  refuse(r, draft, [...metadataCauses(draft, r.nameRule), ...a.causes]);
  const key = r.namespaced ? `${draft.metadata.namespace ?? ""}/${draft.metadata.name ?? ""}` : (draft.metadata.name ?? "");
  if (env.view.get(r.bucket, key) !== undefined) throw alreadyExists(r, draft.metadata.name ?? "");
  if (request.applied !== true) book(r, { before: undefined, after: draft }, { manager: options.manager, now: env.now });
  r.strategy.onCreate?.(draft, env);
  refuse(r, draft, r.strategy.validate?.(draft) ?? []);
  return { object: draft, write: { bucket: r.bucket, key, object: draft }, code: 201, warnings: a.warnings };
};

type By = { readonly manager: string; readonly now: string; readonly subresource?: string | undefined };

/**
 * Writes managedFields that book the change on the manager. Called before the server adds its own (addresses, injected
 * volumes): those belong to nobody, so that applying without them takes nothing away.
 */
export const book = (r: ApiResource, { before, after }: { before: KubeObject | undefined; after: KubeObject }, by: By): void => {
  const managed = updateManagedFields({
    before,
    after,
    manager: by.manager,
    now: by.now,
    schema: schemaOf(r),
    ignore: untouched(r, by.subresource, [before ?? {}, after]),
    ...(by.subresource === undefined ? {} : { subresource: by.subresource }),
  });
  const fields = objects(obj(managed.metadata).managedFields);
  if (fields.length === 0) delete after.metadata.managedFields;
  else after.metadata.managedFields = fields;
};
