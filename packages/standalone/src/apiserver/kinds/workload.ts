// Which rules do Deployment, ReplicaSet, DaemonSet, StatefulSet and Job share? (pkg/apis/apps/validation)

import { matchesSelector } from "@ambit/shared/kube/selector.ts";
import { badValue, type Cause, required } from "../model/errors.ts";
import { at, child, type KubeObject, num, obj, sameJson, stringMap } from "../model/object.ts";
import type { Strategy } from "../registry/types.ts";
import { labelCauses } from "../write/names.ts";
import { podSpecCauses } from "./pod-spec.ts";

const selectorCauses = (o: KubeObject): Cause[] => {
  const selector = at(o, "spec", "selector");
  const labels = at(o, "spec", "template", "metadata", "labels");
  if (selector === undefined || Object.keys(obj(selector)).length === 0) return [required("spec.selector")];
  if (matchesSelector(obj(selector), stringMap(labels))) return [];
  return [badValue("spec.template.metadata.labels", obj(labels), "`selector` does not match template `labels`")];
};

const replicaCauses = (o: KubeObject): Cause[] => {
  const replicas = num(at(o, "spec", "replicas"));
  return replicas !== undefined && replicas < 0 ? [badValue("spec.replicas", replicas, "must be greater than or equal to 0")] : [];
};

const templateCauses = (o: KubeObject): Cause[] => [
  ...labelCauses(at(o, "spec", "template", "metadata", "labels"), "spec.template.labels"),
  ...podSpecCauses(obj(at(o, "spec", "template", "spec")), "spec.template.spec", true),
];

const selectorFixed = (o: KubeObject, old: KubeObject): Cause[] => {
  const [now, then] = [at(o, "spec", "selector"), at(old, "spec", "selector")];
  return sameJson(now, then) ? [] : [badValue("spec.selector", now, "field is immutable")];
};

export const workloadStrategy: Strategy = {
  validate: (o) => [...selectorCauses(o), ...replicaCauses(o), ...templateCauses(o)],
  validateUpdate: selectorFixed,
};

const UID = "batch.kubernetes.io/controller-uid";
const NAME = "batch.kubernetes.io/job-name";

/** A Job's selector is made from its uid unless it selects by hand (pkg/registry/batch/job/strategy.go). */
export const jobStrategy: Strategy = {
  onCreate: (o) => {
    const spec = child(o, "spec");
    if (spec.manualSelector === true) return;
    const labels = { [UID]: o.metadata.uid, [NAME]: o.metadata.name };
    spec.selector = { matchLabels: { [UID]: o.metadata.uid } };
    Object.assign(child(child(child(spec, "template"), "metadata"), "labels"), labels);
  },
  validate: (o) => podSpecCauses(obj(at(o, "spec", "template", "spec")), "spec.template.spec", false),
  validateUpdate: selectorFixed,
};
