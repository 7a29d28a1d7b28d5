// Is a name, label or annotation well formed? (k8s.io/apimachinery/pkg/util/validation)

import { badValue, type Cause, required } from "../model/errors.ts";
import { type KubeObject, list, obj, str } from "../model/object.ts";
import type { NameRule } from "../registry/types.ts";

type Rule = { readonly pattern: RegExp; readonly max: number; readonly text: string };

const SUBDOMAIN: Rule = {
  pattern: /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
  max: 253,
  text: "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
};
const LABEL: Rule = {
  pattern: /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
  max: 63,
  text: "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
};
const LABEL_1035: Rule = {
  pattern: /^[a-z]([-a-z0-9]*[a-z0-9])?$/,
  max: 63,
  text: "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
};
const PATH: Rule = {
  pattern: /^(?!\.{1,2}$)[^/%]+$/,
  max: 253,
  text: "must be a path segment: not '.' or '..', without '/' and '%'",
};

const RULES: { readonly [K in NameRule]: Rule } = { subdomain: SUBDOMAIN, label: LABEL, label1035: LABEL_1035, path: PATH };

const breach = (rule: Rule, value: string): string | undefined =>
  value.length > rule.max ? `must be no more than ${rule.max} characters` : rule.pattern.test(value) ? undefined : rule.text;

const QUALIFIED = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const QUALIFIED_TEXT =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE_TEXT =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/** Why a label or annotation key is not valid; undefined when it is. */
export const qualifiedNameBreach = (key: string): string | undefined => {
  const parts = key.split("/");
  const name = parts.at(-1) ?? "";
  const prefix = parts.length === 2 ? (parts[0] ?? "") : undefined;
  if (parts.length > 2)
    return "a qualified name must consist of alphanumeric characters, '-', '_' or '.', with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
  if (name.length > 63) return "name part must be no more than 63 characters";
  if (!QUALIFIED.test(name)) return name === "" ? "name part must be non-empty" : QUALIFIED_TEXT;
  return prefix === undefined
    ? undefined
    : breach(SUBDOMAIN, prefix) === undefined
      ? undefined
      : `prefix part ${breach(SUBDOMAIN, prefix)}`;
};

export const labelValueBreach = (value: string): string | undefined =>
  value.length > 63 ? "must be no more than 63 characters" : value === "" || QUALIFIED.test(value) ? undefined : LABEL_VALUE_TEXT;

export const subdomainBreach = (value: string): string | undefined => breach(SUBDOMAIN, value);
export const labelBreach = (value: string): string | undefined => breach(LABEL, value);

const ANNOTATIONS_LIMIT = 256 * 1024;

/** Causes for labels, as they stand at `path`. */
export const labelCauses = (labels: unknown, path: string): Cause[] =>
  Object.entries(obj(labels)).flatMap(([k, v]) => {
    const key = qualifiedNameBreach(k);
    const value = typeof v === "string" ? labelValueBreach(v) : "must be a string";
    return [...(key === undefined ? [] : [badValue(path, k, key)]), ...(value === undefined ? [] : [badValue(path, v, value)])];
  });

const annotationCauses = (annotations: unknown): Cause[] => {
  const entries = Object.entries(obj(annotations));
  const size = entries.reduce((n, [k, v]) => n + k.length + (str(v) ?? "").length, 0);
  return [
    ...entries.flatMap(([k, v]) => {
      const key = qualifiedNameBreach(k.toLowerCase());
      if (key !== undefined) return [badValue("metadata.annotations", k, key)];
      return typeof v === "string" ? [] : [badValue("metadata.annotations", v, "must be a string")];
    }),
    ...(size > ANNOTATIONS_LIMIT
      ? [{ reason: "FieldValueTooLong", message: "Too long: may not be more than 262144 bytes", field: "metadata.annotations" }]
      : []),
  ];
};

const ownerCauses = (owners: unknown): Cause[] => {
  const causes = list(owners).flatMap((o, i) =>
    ["apiVersion", "kind", "name", "uid"].flatMap((f) =>
      (str(obj(o)[f]) ?? "") === "" ? [required(`metadata.ownerReferences[${i}].${f}`, `${f} must not be empty`)] : [],
    ),
  );
  const controllers = list(owners).filter((o) => obj(o).controller === true);
  if (controllers.length < 2) return causes;
  const text = "Only one reference can have Controller set to true";
  return [...causes, badValue("metadata.ownerReferences", controllers.map((o) => obj(o).name).join(", "), text)];
};

/** Standing finalizers that need no domain. */
const BARE_FINALIZERS: ReadonlySet<string> = new Set(["orphan", "foregroundDeletion", "kubernetes"]);

const finalizerCauses = (finalizers: unknown): Cause[] =>
  list(finalizers).flatMap((f, i) => {
    const name = str(f) ?? "";
    if (BARE_FINALIZERS.has(name)) return [];
    const why = name.includes("/") ? qualifiedNameBreach(name) : "name is neither a standard finalizer name nor is it fully qualified";
    return why === undefined ? [] : [badValue(`metadata.finalizers[${i}]`, name, why)];
  });

/** Everything wrong with an object's metadata. */
export const metadataCauses = (o: KubeObject, rule: NameRule): Cause[] => {
  const { name = "", labels, annotations, ownerReferences, finalizers } = o.metadata;
  const why = name === "" ? undefined : breach(RULES[rule], name);
  return [
    ...(name === "" ? [required("metadata.name", "name or generateName is required")] : []),
    ...(why === undefined ? [] : [badValue("metadata.name", name, why)]),
    ...labelCauses(labels, "metadata.labels"),
    ...annotationCauses(annotations),
    ...ownerCauses(ownerReferences),
    ...finalizerCauses(finalizers),
  ];
};

const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

/** `generateName` plus five random letters, as Kubernetes' names.SimpleNameGenerator makes it. */
export const generatedName = (base: string, random: () => number): string =>
  base.slice(0, 58) + Array.from({ length: 5 }, () => ALPHABET[Math.floor(random() * ALPHABET.length)]).join("");
