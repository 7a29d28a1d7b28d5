// What does the scale subresource show and store?

import type { LabelSelectorRequirement } from "@ambit/shared/kube/objects/meta.ts";
import { selectorText } from "@ambit/shared/kube/selector.ts";
import { badRequest, badValue, invalid, notFound } from "../model/errors.ts";
import { at, child, isObject, type JsonObject, type KubeObject, num, obj, str, stringMap } from "../model/object.ts";
import type { ApiResource, WriteEnv } from "../registry/types.ts";
import type { WriteOptions } from "../rest/options.ts";
import { type PatchType, patched } from "./patch.ts";
import { fromStored, keyFor, type Planned, type Target } from "./plan.ts";
import { planUpdate } from "./update.ts";

type Operator = LabelSelectorRequirement["operator"];
const OPERATORS: readonly Operator[] = ["In", "NotIn", "Exists", "DoesNotExist"];
const operatorOf = (v: unknown): Operator => OPERATORS.find((o) => o === v) ?? "Exists";

const selectorOf = (v: unknown): string => {
  if (typeof v === "string") return v;
  if (!isObject(v)) return "";
  const expressions = Array.isArray(v.matchExpressions) ? v.matchExpressions.filter(isObject) : [];
  return selectorText({
    matchLabels: stringMap(v.matchLabels),
    matchExpressions: expressions.map((e) => ({
      key: str(e.key) ?? "",
      operator: operatorOf(e.operator),
      ...(Array.isArray(e.values) ? { values: e.values.filter((x) => typeof x === "string") } : {}),
    })),
  });
};

/** The autoscaling/v1 Scale of an object. */
export const scaleOf = (r: ApiResource, o: KubeObject): JsonObject => {
  const paths = r.scale ?? { spec: ["spec", "replicas"], status: ["status", "replicas"] };
  const selector = paths.selector === undefined ? "" : selectorOf(at(o, ...paths.selector));
  const { name, namespace, uid, resourceVersion, creationTimestamp } = o.metadata;
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), uid, resourceVersion, creationTimestamp },
    spec: { replicas: num(at(o, ...paths.spec)) ?? 0 },
    status: { replicas: num(at(o, ...paths.status)) ?? 0, ...(selector === "" ? {} : { selector }) },
  };
};

const withReplicas = (o: KubeObject, path: readonly string[], replicas: number): KubeObject => {
  const next = structuredClone(o);
  const parent = path.slice(0, -1).reduce<JsonObject>((p, field) => child(p, field), next);
  parent[path.at(-1) ?? ""] = replicas;
  return next;
};

export type ScaleRequest = {
  readonly target: Target;
  /** undefined replaces the Scale. */
  readonly type: PatchType | undefined;
  readonly body: unknown;
  readonly options: WriteOptions;
};

export const planScale = ({ target, type, body, options }: ScaleRequest, env: WriteEnv): Planned => {
  const { resource: r, name } = target;
  const old = env.view.get(r.bucket, keyFor(target));
  if (old === undefined || r.scale === undefined) throw notFound(r, name);
  const live = scaleOf(r, old);
  // A Scale has two writable fields; an applied one merges like any other.
  const next =
    type === undefined ? body : patched(type === "apply" || type === "strategic" ? "merge" : type, live, { patch: body, target });
  if (!isObject(next)) throw badRequest("the request's body is no Scale object");
  const replicas = num(at(next, "spec", "replicas")) ?? 0;
  if (!Number.isInteger(replicas) || replicas < 0)
    throw invalid({ group: "autoscaling", kind: "Scale" }, name, [
      badValue("spec.replicas", replicas, "must be greater than or equal to 0"),
    ]);
  const scaled = withReplicas(fromStored(r, old), r.scale.spec, replicas);
  scaled.metadata.resourceVersion = str(obj(next.metadata).resourceVersion) || (old.metadata.resourceVersion ?? "");
  return planUpdate({ target: { resource: r, namespace: target.namespace, name }, body: scaled, options }, env);
};
