// Which environment does a container get?

import type { ConfigMap, Secret } from "@ambit/shared/kube/objects/core.ts";
import type { Container, EnvVar, Pod } from "@ambit/shared/kube/objects/pod.ts";
import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";
import { fieldValue, type NodeCapacity, type PodPlace, resourceValue } from "./fields.ts";

/** The objects of the pod's namespace that its containers may refer to; values of a Secret come decoded by `secretText`. */
export type Lookups = {
  configMap(name: string): ConfigMap | undefined;
  secret(name: string): Secret | undefined;
};

export type EnvContext = {
  readonly pod: Pod;
  readonly place: PodPlace;
  readonly capacity: NodeCapacity;
  readonly lookups: Lookups;
  /** What every container has before its own variables: PATH, HOSTNAME, KUBERNETES_SERVICE_HOST … */
  readonly base: Readonly<Record<string, string>>;
};

const decode = (base64: string): string => Buffer.from(base64, "base64").toString("utf8");

/** `$(NAME)` is replaced by a variable set before, `$$` is a dollar sign, anything else stays (Kubernetes: third_party/forked/golang/expansion). */
export const expand = (text: string, vars: Readonly<Record<string, string>>): string =>
  text.replace(/\$(\$|\(([^)]*)\))/g, (whole, inner: string, name: string | undefined) =>
    inner === "$" ? "$" : name !== undefined && Object.hasOwn(vars, name) ? (vars[name] ?? "") : whole,
  );

const fromConfigMap = (
  ref: { readonly name: string; readonly key: string; readonly optional?: boolean },
  lookups: Lookups,
): Result<string | undefined> => {
  const map = lookups.configMap(ref.name);
  const value = map?.data?.[ref.key];
  if (value !== undefined || ref.optional === true) return ok(value);
  return err(map === undefined ? `configmap "${ref.name}" not found` : `couldn't find key ${ref.key} in ConfigMap ${ref.name}`);
};

const fromSecret = (
  ref: { readonly name: string; readonly key: string; readonly optional?: boolean },
  lookups: Lookups,
): Result<string | undefined> => {
  const secret = lookups.secret(ref.name);
  const value = secret?.data?.[ref.key];
  if (value !== undefined) return ok(decode(value));
  if (ref.optional === true) return ok(undefined);
  return err(secret === undefined ? `secret "${ref.name}" not found` : `couldn't find key ${ref.key} in Secret ${ref.name}`);
};

const variableValue = (
  v: EnvVar,
  container: Container,
  c: EnvContext,
  vars: Readonly<Record<string, string>>,
): Result<string | undefined> => {
  const from = v.valueFrom;
  if (from === undefined) return ok(expand(v.value ?? "", vars));
  if (from.fieldRef !== undefined) return fieldValue(from.fieldRef.fieldPath, c.pod, c.place);
  if (from.resourceFieldRef !== undefined)
    return resourceValue(from.resourceFieldRef, c.pod, { container: container.name, capacity: c.capacity });
  if (from.configMapKeyRef !== undefined) return fromConfigMap(from.configMapKeyRef, c.lookups);
  if (from.secretKeyRef !== undefined) return fromSecret(from.secretKeyRef, c.lookups);
  return err(`the variable ${v.name} has a valueFrom that this kubelet does not know`);
};

const envFrom = (container: Container, c: EnvContext): Result<Record<string, string>> => {
  const vars: Record<string, string> = {};
  for (const source of container.envFrom ?? []) {
    const ref = source.configMapRef ?? source.secretRef;
    if (ref === undefined) continue;
    const kind = source.configMapRef === undefined ? "secret" : "configmap";
    const found = kind === "secret" ? c.lookups.secret(ref.name) : c.lookups.configMap(ref.name);
    if (found === undefined) {
      if (ref.optional === true) continue;
      return err(`${kind} "${ref.name}" not found`);
    }
    for (const [key, value] of Object.entries(found.data ?? {}))
      vars[`${source.prefix ?? ""}${key}`] = kind === "secret" ? decode(value) : value;
  }
  return ok(vars);
};

/** The container's variables: base, then envFrom, then env in order, later ones winning; an error is a CreateContainerConfigError. */
export const containerEnv = (container: Container, c: EnvContext): Result<Record<string, string>> => {
  const imported = envFrom(container, c);
  if (!imported.ok) return imported;
  const vars: Record<string, string> = { ...c.base, ...imported.value };
  for (const v of container.env ?? []) {
    const value = variableValue(v, container, c, vars);
    if (!value.ok) return value;
    if (value.value !== undefined) vars[v.name] = value.value;
  }
  return ok(vars);
};
