// What does binding a pod to a node store? (pods/binding, written by schedulers)

import { ApiError, badRequest, conflict, notFound } from "../model/errors.ts";
import { obj, objects, str, stringMap } from "../model/object.ts";
import type { WriteEnv } from "../registry/types.ts";
import { keyFor, type Planned, type Target } from "./plan.ts";

export const planBinding = (target: Target, body: unknown, env: WriteEnv): Planned => {
  const { resource: r, name } = target;
  const key = keyFor(target);
  const old = env.view.get(r.bucket, key);
  if (old === undefined) throw notFound(r, name);
  const wanted = obj(obj(body).target);
  const node = str(wanted.name);
  if (node === undefined || node === "") throw badRequest("a Binding needs target.name, the node's name");
  if (wanted.kind !== undefined && wanted.kind !== "" && wanted.kind !== "Node")
    throw new ApiError(
      422,
      "Invalid",
      `Binding "${name}" is invalid: target.kind: Unsupported value: ${JSON.stringify(wanted.kind)}: supported values: "Node"`,
      {},
    );
  const meta = obj(obj(body).metadata);
  if (str(meta.uid) !== undefined && meta.uid !== old.metadata.uid)
    throw conflict(r, name, `Precondition failed: UID in precondition: ${String(meta.uid)}, UID in object meta: ${old.metadata.uid}`);
  const spec = obj(old.spec);
  if (old.metadata.deletionTimestamp !== undefined) throw conflict(r, name, `pod ${name} is being deleted, cannot be assigned to a host`);
  if (str(spec.nodeName) !== undefined && spec.nodeName !== "")
    throw conflict(r, name, `pod ${name} is already assigned to node "${spec.nodeName}"`);
  const status = obj(old.status);
  const scheduled = { type: "PodScheduled", status: "True", lastProbeTime: null, lastTransitionTime: env.now };
  const conditions = [...objects(status.conditions).filter((c) => c.type !== "PodScheduled"), scheduled];
  const annotations = { ...old.metadata.annotations, ...stringMap(meta.annotations) };
  const next = {
    ...old,
    metadata: { ...old.metadata, ...(Object.keys(annotations).length === 0 ? {} : { annotations }) },
    spec: { ...spec, nodeName: node },
    status: { ...status, conditions },
  };
  return { object: next, write: { bucket: r.bucket, key, object: next }, code: 201, warnings: [] };
};
