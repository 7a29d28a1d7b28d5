// What does deleting an object store: its end, or its intention to end?

import { badRequest, conflict, notFound } from "../model/errors.ts";
import { type KubeObject, list, obj } from "../model/object.ts";
import type { ApiResource, WriteEnv } from "../registry/types.ts";
import type { DeleteOptions } from "../rest/options.ts";
import { keyFor, type Planned, type Target } from "./plan.ts";
import { readyToGo } from "./update.ts";

const ORPHAN = "orphan";
const FOREGROUND = "foregroundDeletion";

/** DeleteOptions from the body and the query (the query wins where both speak, as clients send only one). */
export const deleteOptions = (body: unknown, q: URLSearchParams): DeleteOptions => {
  const b = obj(body);
  const preconditions = obj(b.preconditions);
  const asked = q.get("gracePeriodSeconds") ?? b.gracePeriodSeconds;
  const graceSeconds = asked === undefined || asked === null || asked === "" ? undefined : Number(asked);
  if (graceSeconds !== undefined && (!Number.isInteger(graceSeconds) || graceSeconds < 0))
    throw badRequest(`gracePeriodSeconds ${JSON.stringify(asked)} must be a whole number of seconds, zero or more`);
  const orphan = q.get("orphanDependents") ?? b.orphanDependents;
  const policy = q.get("propagationPolicy") ?? b.propagationPolicy ?? (String(orphan) === "true" ? "Orphan" : undefined);
  if (policy !== undefined && policy !== "" && policy !== "Background" && policy !== "Foreground" && policy !== "Orphan")
    throw badRequest(
      `propagationPolicy ${JSON.stringify(policy)} is not supported: supported values: "Foreground", "Background", "Orphan"`,
    );
  const dryRun = [...q.getAll("dryRun"), ...list(b.dryRun)].filter((v) => v !== "");
  if (dryRun.some((v) => v !== "All")) throw badRequest('dryRun: the only supported value is "All"');
  return {
    dryRun: dryRun.length > 0,
    graceSeconds,
    propagation: policy === undefined || policy === "" ? undefined : policy,
    uid: typeof preconditions.uid === "string" ? preconditions.uid : undefined,
    resourceVersion: typeof preconditions.resourceVersion === "string" ? preconditions.resourceVersion : undefined,
  };
};

const checkPreconditions = ({ resource, name }: Target, old: KubeObject, o: DeleteOptions): void => {
  const { uid, resourceVersion } = old.metadata;
  if (o.uid !== undefined && o.uid !== uid)
    throw conflict(resource, name, `Precondition failed: UID in precondition: ${o.uid}, UID in object meta: ${uid}`);
  if (o.resourceVersion !== undefined && o.resourceVersion !== resourceVersion)
    throw conflict(
      resource,
      name,
      `Precondition failed: ResourceVersion in precondition: ${o.resourceVersion}, ResourceVersion in object meta: ${resourceVersion}`,
    );
};

/** The garbage collector's finalizers follow the policy; without one, those that stand stay. */
const finalizersFor = (have: readonly string[], policy: DeleteOptions["propagation"]): string[] => {
  if (policy === undefined) return [...have];
  const others = have.filter((f) => f !== ORPHAN && f !== FOREGROUND);
  if (policy === "Background") return others;
  return [...others, policy === "Orphan" ? ORPHAN : FOREGROUND];
};

const graceOf = (r: ApiResource, old: KubeObject, asked: number | undefined): number => r.strategy.grace?.(old, asked) ?? 0;

/** A deletion that cannot end at once: when it was asked for, and how long it may take. */
const marked = (old: KubeObject, grace: number, env: WriteEnv): KubeObject => {
  const already = old.metadata.deletionTimestamp !== undefined;
  const before = old.metadata.deletionGracePeriodSeconds ?? 0;
  const next: KubeObject = { ...old, metadata: { ...old.metadata } };
  // A later request may shorten the grace but never extend it.
  if (!already || grace < before) {
    next.metadata.deletionTimestamp = env.after(grace);
    next.metadata.deletionGracePeriodSeconds = grace;
  }
  if (!already && next.metadata.generation !== undefined) next.metadata.generation += 1;
  if (old.kind === "Namespace") next.status = { ...obj(old.status), phase: "Terminating" };
  return next;
};

export const planDelete = (target: Target, options: DeleteOptions, env: WriteEnv): Planned => {
  const { resource: r } = target;
  const key = keyFor(target);
  const old = env.view.get(r.bucket, key);
  if (old === undefined) throw notFound(r, target.name);
  checkPreconditions(target, old, options);
  const finalizers = finalizersFor(old.metadata.finalizers ?? [], options.propagation);
  const next = marked(old, graceOf(r, old, options.graceSeconds), env);
  if (finalizers.length > 0) next.metadata.finalizers = finalizers;
  else delete next.metadata.finalizers;
  if (readyToGo(next)) return { object: next, write: { bucket: r.bucket, key, object: undefined }, code: 200, warnings: [], removed: true };
  const unchanged =
    old.metadata.deletionTimestamp === next.metadata.deletionTimestamp &&
    old.metadata.deletionGracePeriodSeconds === next.metadata.deletionGracePeriodSeconds &&
    (old.metadata.finalizers ?? []).join() === finalizers.join();
  return {
    object: unchanged ? old : next,
    write: unchanged ? undefined : { bucket: r.bucket, key, object: next },
    code: 200,
    warnings: [],
  };
};
