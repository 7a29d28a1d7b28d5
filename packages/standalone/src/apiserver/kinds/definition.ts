// What does the server add to a CustomResourceDefinition: accepted names, conditions, the cleanup finalizer?

import { CLEANUP_FINALIZER, CRD_BUCKET } from "../crd/define.ts";
import { badValue, type Cause } from "../model/errors.ts";
import { type JsonObject, type KubeObject, obj, objects, str, strings } from "../model/object.ts";
import type { Strategy, WriteEnv } from "../registry/types.ts";
import { checkCrd } from "../schema/crd.ts";

const storageVersion = (spec: JsonObject): string => str(objects(spec.versions).find((v) => v.storage === true)?.name) ?? "";

/** Names that another definition of the group has taken; the later one is not served. */
const conflictOf = (draft: KubeObject, env: WriteEnv): string | undefined => {
  const spec = obj(draft.spec);
  const names = obj(spec.names);
  const mine = new Set([str(names.plural), str(names.singular), ...strings(names.shortNames)].filter((n) => n !== undefined && n !== ""));
  for (const other of env.view.list(CRD_BUCKET)) {
    if (other.metadata.name === draft.metadata.name || obj(other.spec).group !== spec.group) continue;
    const theirs = obj(obj(other.spec).names);
    if (theirs.kind === names.kind) return `${JSON.stringify(names.kind)} is already in use`;
    const taken = [str(theirs.plural), str(theirs.singular), ...strings(theirs.shortNames)].find((n) => n !== undefined && mine.has(n));
    if (taken !== undefined) return `${JSON.stringify(taken)} is already in use`;
  }
  return undefined;
};

const statusFor = (draft: KubeObject, env: WriteEnv): JsonObject => {
  const before = obj(draft.status);
  const clash = conflictOf(draft, env);
  const condition = (type: string, good: boolean, { reason, message }: { reason: string; message: string }): JsonObject => {
    const old = objects(before.conditions).find((c) => c.type === type && c.status === (good ? "True" : "False"));
    return { type, status: good ? "True" : "False", reason, message, lastTransitionTime: old?.lastTransitionTime ?? env.now };
  };
  const stored = strings(before.storedVersions);
  const version = storageVersion(obj(draft.spec));
  return {
    acceptedNames: obj(draft.spec).names,
    storedVersions: stored.includes(version) ? stored : [...stored, version],
    conditions: [
      condition(
        "NamesAccepted",
        clash === undefined,
        clash === undefined ? { reason: "NoConflicts", message: "no conflicts found" } : { reason: "NamesConflict", message: clash },
      ),
      condition(
        "Established",
        clash === undefined,
        clash === undefined
          ? { reason: "InitialNamesAccepted", message: "the initial names have been accepted" }
          : { reason: "NotAccepted", message: "not all names are accepted" },
      ),
    ],
  };
};

const RESERVED = ["", "apps", "batch", "autoscaling", "policy", "extensions"];

const causesOf = (o: KubeObject): readonly Cause[] => {
  const group = str(obj(o.spec).group) ?? "";
  return RESERVED.includes(group)
    ? [badValue("spec.group", group, "this group belongs to the built-in kinds"), ...checkCrd(o)]
    : checkCrd(o);
};

export const definitionStrategy: Strategy = {
  onCreate: (draft, env) => {
    draft.metadata.finalizers = [...new Set([...(draft.metadata.finalizers ?? []), CLEANUP_FINALIZER])];
    draft.status = statusFor(draft, env);
  },
  onUpdate: (draft, _old, env) => {
    draft.status = statusFor(draft, env);
  },
  validate: causesOf,
  validateUpdate: (o, old) => {
    const fixed = ["group", "scope"] as const;
    return fixed.flatMap((f) => (obj(o.spec)[f] === obj(old.spec)[f] ? [] : [badValue(`spec.${f}`, obj(o.spec)[f], "field is immutable")]));
  },
};
