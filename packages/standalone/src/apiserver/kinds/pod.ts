// What does the server add to a Pod, what of it may change, and how long does its deletion take?

import { type Cause, forbidden, forbiddenField } from "../model/errors.ts";
import { bool, child, clone, type JsonObject, type KubeObject, num, obj, objects, sameJson, setDefault, str } from "../model/object.ts";
import type { Strategy, WriteEnv } from "../registry/types.ts";
import { generatedName } from "../write/names.ts";
import { podSpecCauses } from "./pod-spec.ts";

const PODS = { group: "", resource: "pods" } as const;
export const TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount";
const ROOT_CA = "kube-root-ca.crt";
const DEFAULT_GRACE_SECONDS = 30;
/** As kubelet asks for: an hour, plus what lets a rotation at 80 % stay under an hour's audit step (plugin/pkg/admission/serviceaccount). */
const TOKEN_SECONDS = 3607;

const tokenVolume = (name: string): JsonObject => ({
  name,
  projected: {
    defaultMode: 420,
    sources: [
      { serviceAccountToken: { expirationSeconds: TOKEN_SECONDS, path: "token" } },
      { configMap: { name: ROOT_CA, items: [{ key: "ca.crt", path: "ca.crt" }] } },
      { downwardAPI: { items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }] } },
    ],
  },
});

const isMirror = (pod: KubeObject): boolean => pod.metadata.annotations?.["kubernetes.io/config.mirror"] !== undefined;

/** Gives every container without a mount of its own the ServiceAccount token, the cluster's CA and the namespace's name. */
const mountToken = (spec: JsonObject, env: WriteEnv): void => {
  const bare = [...objects(spec.initContainers), ...objects(spec.containers)].filter(
    (c) => !objects(c.volumeMounts).some((m) => m.mountPath === TOKEN_PATH),
  );
  if (bare.length === 0) return;
  const volumes = objects(spec.volumes);
  const have = volumes.map((v) => str(v.name) ?? "").find((n) => n.startsWith("kube-api-access-"));
  const name = have ?? generatedName("kube-api-access-", env.random);
  if (have === undefined) spec.volumes = [...volumes, tokenVolume(name)];
  for (const c of bare) c.volumeMounts = [...objects(c.volumeMounts), { name, readOnly: true, mountPath: TOKEN_PATH }];
};

const useServiceAccount = (pod: KubeObject, spec: JsonObject, env: WriteEnv): void => {
  if (isMirror(pod)) return;
  const name = str(spec.serviceAccountName) || "default";
  Object.assign(spec, { serviceAccountName: name, serviceAccount: name });
  const { namespace = "" } = pod.metadata;
  const account = env.view.get("/serviceaccounts", `${namespace}/${name}`);
  if (account === undefined) {
    const why = `error looking up service account ${namespace}/${name}: serviceaccount ${JSON.stringify(name)} not found`;
    throw forbidden(PODS, pod.metadata.name, why);
  }
  if (bool(spec.automountServiceAccountToken) ?? bool(account.automountServiceAccountToken) ?? true) mountToken(spec, env);
  if (objects(spec.imagePullSecrets).length === 0 && objects(account.imagePullSecrets).length > 0)
    spec.imagePullSecrets = clone(account.imagePullSecrets);
};

const usePriority = (pod: KubeObject, spec: JsonObject, env: WriteEnv): void => {
  const name = str(spec.priorityClassName) ?? "";
  const found =
    name === ""
      ? env.view.list("scheduling.k8s.io/priorityclasses").find((c) => c.globalDefault === true)
      : env.view.get("scheduling.k8s.io/priorityclasses", name);
  if (name !== "" && found === undefined) throw forbidden(PODS, pod.metadata.name, `no PriorityClass with name ${name} was found`);
  if (found !== undefined) spec.priorityClassName = found.metadata.name;
  spec.priority = num(found?.value) ?? 0;
  setDefault(spec, "preemptionPolicy", str(found?.preemptionPolicy) ?? "PreemptLowerPriority");
};

/** A pod stays five minutes on a node that is not ready (admission plugin DefaultTolerationSeconds). */
const tolerate = (spec: JsonObject): void => {
  const have = objects(spec.tolerations);
  const covers = (key: string) =>
    have.some(
      (t) =>
        (t.key === key || ((str(t.key) ?? "") === "" && t.operator === "Exists")) &&
        (t.effect === undefined || t.effect === "" || t.effect === "NoExecute"),
    );
  const missing = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].filter((key) => !covers(key));
  if (missing.length > 0)
    spec.tolerations = [...have, ...missing.map((key) => ({ key, operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 }))];
};

/** pkg/apis/core/v1/helper/qos */
export const qosClass = (spec: JsonObject): "BestEffort" | "Burstable" | "Guaranteed" => {
  const all = [...objects(spec.containers), ...objects(spec.initContainers)].map((c) => obj(c.resources));
  const quantities = (r: JsonObject, kind: "limits" | "requests") => ["cpu", "memory"].map((k) => obj(r[kind])[k]);
  if (all.every((r) => [...quantities(r, "limits"), ...quantities(r, "requests")].every((q) => q === undefined || q === "0" || q === 0)))
    return "BestEffort";
  const guaranteed = all.every((r) => {
    const [limits, requests] = [quantities(r, "limits"), quantities(r, "requests")];
    return limits.every((q, i) => q !== undefined && (requests[i] === undefined || String(requests[i]) === String(q)));
  });
  return guaranteed ? "Guaranteed" : "Burstable";
};

const MUTABLE =
  "spec.containers[*].image,spec.initContainers[*].image,spec.activeDeadlineSeconds,spec.tolerations (only additions to existing tolerations),spec.terminationGracePeriodSeconds (allow it to be set to 1 if it was previously negative)";

/** The part of a pod's specification that no update may touch. */
const fixedPart = (pod: KubeObject): JsonObject => {
  const { activeDeadlineSeconds: _deadline, tolerations: _tolerations, schedulingGates: _gates, ...rest } = obj(pod.spec);
  const withoutImages = (v: unknown) => objects(v).map(({ image: _image, ...c }) => c);
  return {
    ...rest,
    containers: withoutImages(rest.containers),
    initContainers: withoutImages(rest.initContainers),
    ephemeralContainers: [],
  };
};

const updateCauses = (pod: KubeObject, old: KubeObject): Cause[] => {
  if (!sameJson(fixedPart(pod), fixedPart(old)))
    return [forbiddenField("spec", `pod updates may not change fields other than \`${MUTABLE}\``)];
  const kept = objects(obj(old.spec).tolerations).every((t) => objects(obj(pod.spec).tolerations).some((n) => sameJson(t, n)));
  return kept ? [] : [forbiddenField("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")];
};

const hasEnded = (pod: KubeObject): boolean => ["Succeeded", "Failed"].includes(str(obj(pod.status).phase) ?? "");

export const podStrategy: Strategy = {
  onCreate: (pod, env) => {
    const spec = child(pod, "spec");
    useServiceAccount(pod, spec, env);
    usePriority(pod, spec, env);
    tolerate(spec);
    pod.status = { phase: "Pending", qosClass: qosClass(spec) };
  },
  validate: (pod) => podSpecCauses(obj(pod.spec), "spec", false),
  validateUpdate: updateCauses,
  grace: (pod, asked) => {
    const spec = obj(pod.spec);
    // Nothing runs on a node yet, or any more: nobody would confirm the end.
    if ((str(spec.nodeName) ?? "") === "" || hasEnded(pod)) return 0;
    return asked ?? num(spec.terminationGracePeriodSeconds) ?? DEFAULT_GRACE_SECONDS;
  },
  fieldNames: [
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
  ],
  fields: (pod) => {
    const [spec, status] = [obj(pod.spec), obj(pod.status)];
    return {
      "spec.nodeName": str(spec.nodeName) ?? "",
      "spec.restartPolicy": str(spec.restartPolicy) ?? "",
      "spec.schedulerName": str(spec.schedulerName) ?? "",
      "spec.serviceAccountName": str(spec.serviceAccountName) ?? "",
      "spec.hostNetwork": String(bool(spec.hostNetwork) ?? false),
      "status.phase": str(status.phase) ?? "",
      "status.podIP": str(status.podIP) ?? "",
      "status.nominatedNodeName": str(status.nominatedNodeName) ?? "",
    };
  },
};
