// Which few rules do the smaller kinds have: Namespace, Secret, ConfigMap, Event, Node, roles and bindings?

import { badValue, type Cause, forbidden, forbiddenField, notSupported, required } from "../model/errors.ts";
import { at, child, type KubeObject, obj, objects, sameJson, setDefault, str, stringMap } from "../model/object.ts";
import type { Strategy } from "../registry/types.ts";

const NAME_LABEL = "kubernetes.io/metadata.name";

const nameLabel = (o: KubeObject): void => {
  o.metadata.labels = { ...o.metadata.labels, [NAME_LABEL]: o.metadata.name ?? "" };
};

export const namespaceStrategy: Strategy = {
  defaults: nameLabel,
  onCreate: (o) => {
    o.spec = { finalizers: ["kubernetes"] };
    o.status = { phase: "Active" };
  },
  // Only the finalize subresource takes a finalizer away.
  onUpdate: (o, old) => {
    if (old.spec === undefined) delete o.spec;
    else o.spec = old.spec;
  },
  grace: (o) => {
    if (o.metadata.name === "default" || o.metadata.name === "kube-system" || o.metadata.name === "kube-public")
      throw forbidden({ group: "", resource: "namespaces" }, o.metadata.name, "this namespace may not be deleted");
    return 0;
  },
  fieldNames: ["status.phase"],
  fields: (o) => ({ "status.phase": str(obj(o.status).phase) ?? "" }),
};

const KEY = /^[-._a-zA-Z0-9]{1,253}$/;
const KEY_TEXT =
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const DATA_LIMIT = 1024 * 1024;

const keyCauses = (o: KubeObject, fields: readonly string[]): Cause[] =>
  fields.flatMap((f) => Object.keys(obj(o[f])).flatMap((k) => (KEY.test(k) ? [] : [badValue(`${f}[${k}]`, k, KEY_TEXT)])));

const sizeCauses = (o: KubeObject): Cause[] => {
  const bytes = [obj(o.data), obj(o.binaryData)].flatMap((d) => Object.values(d)).reduce<number>((n, v) => n + (str(v) ?? "").length, 0);
  return bytes > DATA_LIMIT
    ? [{ reason: "FieldValueTooLong", message: `Too long: may not be more than ${DATA_LIMIT} bytes`, field: "" }]
    : [];
};

/** An object marked immutable keeps its data and the mark. */
const frozenCauses = (o: KubeObject, old: KubeObject): Cause[] => {
  if (old.immutable !== true) return [];
  const text = "field is immutable when `immutable` is set";
  return ["immutable", "data", "binaryData"].flatMap((f) => (sameJson(o[f], old[f]) ? [] : [forbiddenField(f, text)]));
};

export const configMapStrategy: Strategy = {
  validate: (o) => [...keyCauses(o, ["data", "binaryData"]), ...sizeCauses(o)],
  validateUpdate: frozenCauses,
};

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const toBase64 = (text: string): string => btoa(Array.from(new TextEncoder().encode(text), (b) => String.fromCharCode(b)).join(""));

const mergeStringData = (o: KubeObject): void => {
  const plain = stringMap(o.stringData);
  delete o.stringData;
  if (Object.keys(plain).length === 0) return;
  const data = child(o, "data");
  for (const [k, v] of Object.entries(plain)) data[k] = toBase64(v);
};

export const secretStrategy: Strategy = {
  defaults: (o) => {
    mergeStringData(o);
    setDefault(o, "type", "Opaque");
  },
  validate: (o) => [
    ...keyCauses(o, ["data"]),
    ...Object.entries(obj(o.data)).flatMap(([k, v]) =>
      typeof v === "string" && BASE64.test(v.replace(/\s/g, ""))
        ? []
        : [badValue(`data[${k}]`, "<secret contents redacted>", "must be base64")],
    ),
    ...sizeCauses(o),
    ...(o.type === "kubernetes.io/tls"
      ? ["tls.crt", "tls.key"].flatMap((k) => (obj(o.data)[k] === undefined ? [required(`data[${k}]`)] : []))
      : []),
  ],
  validateUpdate: (o, old) => [...(o.type === old.type ? [] : [badValue("type", o.type, "field is immutable")]), ...frozenCauses(o, old)],
  fieldNames: ["type"],
  fields: (o) => ({ type: str(o.type) ?? "" }),
};

const INVOLVED = ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"] as const;

export const eventStrategy: Strategy = {
  validate: (o) => {
    const [mine, theirs] = [o.metadata.namespace ?? "", str(at(o, "involvedObject", "namespace")) ?? ""];
    const fits = theirs === "" ? mine === "default" || mine === "" || mine === "kube-system" : theirs === mine;
    return fits ? [] : [badValue("involvedObject.namespace", theirs, "does not match event.namespace")];
  },
  fieldNames: [...INVOLVED.flatMap((f) => [`involvedObject.${f}`, `regarding.${f}`]), "reason", "reportingComponent", "source", "type"],
  fields: (o) => {
    const involved = stringMap(o.involvedObject);
    return {
      ...Object.fromEntries(INVOLVED.flatMap((f) => [`involvedObject.${f}`, `regarding.${f}`].map((name) => [name, involved[f] ?? ""]))),
      reason: str(o.reason) ?? "",
      reportingComponent: str(o.reportingComponent) ?? "",
      source: str(at(o, "source", "component")) ?? str(o.reportingComponent) ?? "",
      type: str(o.type) ?? "",
    };
  },
};

export const nodeStrategy: Strategy = {
  fieldNames: ["spec.unschedulable"],
  fields: (o) => ({ "spec.unschedulable": String(obj(o.spec).unschedulable === true) }),
};

export const replicaFields: Pick<Strategy, "fieldNames" | "fields"> = {
  fieldNames: ["status.replicas"],
  fields: (o) => ({ "status.replicas": String(obj(o.status).replicas ?? 0) }),
};

const ROLE_KINDS = ["Role", "ClusterRole"];

export const bindingStrategy: Strategy = {
  validate: (o) => {
    const ref = obj(o.roleRef);
    const kinds = o.kind === "ClusterRoleBinding" ? ["ClusterRole"] : ROLE_KINDS;
    return [
      ...(kinds.includes(str(ref.kind) ?? "") ? [] : [notSupported("roleRef.kind", ref.kind ?? "", kinds)]),
      ...((str(ref.name) ?? "") === "" ? [required("roleRef.name")] : []),
      ...objects(o.subjects).flatMap((s, i) => {
        const causes = (str(s.name) ?? "") === "" ? [required(`subjects[${i}].name`)] : [];
        if (s.kind === "ServiceAccount" && (str(s.namespace) ?? "") === "" && o.kind === "ClusterRoleBinding")
          causes.push(required(`subjects[${i}].namespace`));
        return causes;
      }),
    ];
  },
  validateUpdate: (o, old) => (sameJson(o.roleRef, old.roleRef) ? [] : [badValue("roleRef", o.roleRef, "cannot change roleRef")]),
};

export const roleStrategy: Strategy = {
  validate: (o) =>
    objects(o.rules).flatMap((r, i) => {
      const has = (f: string) => Array.isArray(r[f]) && r[f].length > 0;
      const causes: Cause[] = has("verbs") ? [] : [required(`rules[${i}].verbs`, "verbs must contain at least one value")];
      if (has("nonResourceURLs")) return causes;
      if (!has("apiGroups")) causes.push(required(`rules[${i}].apiGroups`, "resource rules must supply at least one api group"));
      if (!has("resources")) causes.push(required(`rules[${i}].resources`, "resource rules must supply at least one resource"));
      return causes;
    }),
};

export const endpointSliceStrategy: Strategy = {
  validateUpdate: (o, old) => (o.addressType === old.addressType ? [] : [badValue("addressType", o.addressType, "field is immutable")]),
};

export const priorityClassStrategy: Strategy = {
  validateUpdate: (o, old) => (o.value === old.value ? [] : [forbiddenField("value", "may not be changed in an update.")]),
};
