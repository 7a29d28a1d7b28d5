// What does a namespace's finalize subresource store: which of its spec.finalizers remain?

import { conflict, MODIFIED, notFound } from "../model/errors.ts";
import { obj, strings } from "../model/object.ts";
import type { WriteEnv } from "../registry/types.ts";
import { asObjectOf } from "./admit.ts";
import { keyFor, type Planned, type Target } from "./plan.ts";
import { readyToGo } from "./update.ts";

/** The namespace goes with the write that takes its last finalizer. */
export const planFinalize = (target: Target, body: unknown, env: WriteEnv): Planned => {
  const { resource: r, name } = target;
  const key = keyFor(target);
  const old = env.view.get(r.bucket, key);
  if (old === undefined) throw notFound(r, name);
  const sent = asObjectOf(r, body);
  const { resourceVersion = "" } = sent.metadata;
  if (resourceVersion !== "" && resourceVersion !== old.metadata.resourceVersion) throw conflict(r, name, MODIFIED);
  const finalizers = strings(obj(sent.spec).finalizers);
  const spec = { ...obj(old.spec), finalizers };
  const next = { ...old, metadata: { ...old.metadata }, spec: finalizers.length === 0 ? {} : spec };
  const removed = readyToGo(next);
  return {
    object: next,
    write: { bucket: r.bucket, key, object: removed ? undefined : next },
    code: 200,
    warnings: [],
    ...(removed ? { removed } : {}),
  };
};
