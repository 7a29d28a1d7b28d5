// Is a CustomResourceDefinition acceptable, and what does one of its versions say?

import { at, isObject, type JsonObject, num, objects, str } from "../model/object.ts";
import { objectMetaSchema } from "./builtin.ts";
import { checkStructural } from "./structural.ts";
import type { Cause, JsonSchema } from "./types.ts";

export type PrinterColumn = {
  readonly name: string;
  readonly type: string;
  readonly format?: string;
  readonly description?: string;
  readonly priority?: number;
  readonly jsonPath: string;
};

export type ScalePaths = { readonly specReplicasPath: string; readonly statusReplicasPath: string; readonly labelSelectorPath?: string };

const invalid = (field: string, value: unknown, why: string): Cause => ({
  field,
  reason: "FieldValueInvalid",
  message: `Invalid value: ${JSON.stringify(value)}: ${why}`,
});
const required = (field: string, why = ""): Cause => ({
  field,
  reason: "FieldValueRequired",
  message: `Required value${why === "" ? "" : `: ${why}`}`,
});

const LABEL = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const VERSION = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL_RULE =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const APPROVED = "api-approved.kubernetes.io";

/** Causes for refusing a CRD (422); empty when it is acceptable. Rules in CEL are kept, not judged. */
export const checkCrd = (crd: JsonObject): readonly Cause[] => {
  const spec = isObject(crd.spec) ? crd.spec : {};
  const group = str(spec.group) ?? "";
  return [...checkNames(crd, spec, group), ...checkGroup(crd, group), ...checkConversion(spec), ...checkVersions(spec)];
};

const checkNames = (crd: JsonObject, spec: JsonObject, group: string): readonly Cause[] => {
  const names = isObject(spec.names) ? spec.names : {};
  const plural = str(names.plural) ?? "";
  const causes: Cause[] = [];
  if (plural === "") causes.push(required("spec.names.plural"));
  else if (!LABEL.test(plural)) causes.push(invalid("spec.names.plural", plural, LABEL_RULE));
  const kind = str(names.kind) ?? "";
  if (kind === "") causes.push(required("spec.names.kind"));
  else if (!LABEL.test(kind.toLowerCase()))
    causes.push(invalid("spec.names.kind", kind, `may have mixed case, but should otherwise match: ${LABEL_RULE}`));
  const name = str(at(crd, "metadata", "name")) ?? "";
  if (plural !== "" && group !== "" && name !== `${plural}.${group}`) {
    causes.push(invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group'));
  }
  if (names.listKind !== undefined && names.listKind === kind)
    causes.push(invalid("spec.names.listKind", kind, "kind and listKind may not be the same"));
  if (spec.scope !== "Cluster" && spec.scope !== "Namespaced") {
    causes.push(
      spec.scope === undefined
        ? required("spec.scope")
        : {
            field: "spec.scope",
            reason: "FieldValueNotSupported",
            message: `Unsupported value: ${JSON.stringify(spec.scope)}: supported values: "Cluster", "Namespaced"`,
          },
    );
  }
  return causes;
};

const checkGroup = (crd: JsonObject, group: string): readonly Cause[] => {
  if (group === "") return [required("spec.group")];
  if (!SUBDOMAIN.test(group))
    return [
      invalid(
        "spec.group",
        group,
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
      ),
    ];
  if (!group.includes(".")) return [invalid("spec.group", group, "should be a domain with at least one dot")];
  const isProtected = /(^|\.)(k8s|kubernetes)\.io$/.test(group);
  if (!isProtected) return [];
  const approval = str(at(crd, "metadata", "annotations", APPROVED));
  const field = `metadata.annotations[${APPROVED}]`;
  if (approval === undefined || approval === "") {
    return [
      required(
        field,
        `protected groups must have approval annotation "${APPROVED}", see https://github.com/kubernetes/enhancements/pull/1111`,
      ),
    ];
  }
  return approval.startsWith("unapproved") || URL.canParse(approval)
    ? []
    : [invalid(field, approval, 'protected groups must have approval annotation that is a URL or starts with "unapproved"')];
};

/** Objects of all versions are stored as they are sent: a webhook would be needed to change them, and this server has none. */
const checkConversion = (spec: JsonObject): readonly Cause[] => [
  ...(at(spec, "conversion", "strategy") === "Webhook"
    ? [
        {
          field: "spec.conversion.strategy",
          reason: "FieldValueNotSupported" as const,
          message: 'Unsupported value: "Webhook": supported values: "None"',
        },
      ]
    : []),
  ...(spec.preserveUnknownFields === true ? [invalid("spec.preserveUnknownFields", true, "must be false")] : []),
];

const checkVersions = (spec: JsonObject): readonly Cause[] => {
  const versions = objects(spec.versions);
  const causes: Cause[] = [];
  const names = versions.map((version) => str(version.name) ?? "");
  for (const [i, name] of names.entries()) {
    const field = `spec.versions[${i}].name`;
    if (!VERSION.test(name)) causes.push(invalid(field, name, LABEL_RULE));
    else if (names.indexOf(name) < i)
      causes.push({ field, reason: "FieldValueDuplicate", message: `Duplicate value: ${JSON.stringify(name)}` });
  }
  if (versions.filter((version) => version.storage === true).length !== 1) {
    causes.push(invalid("spec.versions", names, "must have exactly one version marked as storage version"));
  }
  return [...causes, ...versions.flatMap((version, i) => checkVersion(version, `spec.versions[${i}]`))];
};

const checkVersion = (version: JsonObject, field: string): readonly Cause[] => {
  const schema = at(version, "schema", "openAPIV3Schema");
  const at3 = `${field}.schema.openAPIV3Schema`;
  const columns = objects(version.additionalPrinterColumns).flatMap((column, i) =>
    ["name", "type", "jsonPath"]
      .filter((name) => str(column[name]) === undefined)
      .map((name) => required(`${field}.additionalPrinterColumns[${i}].${name}`)),
  );
  return isObject(schema) ? [...checkStructural(schema, at3), ...columns] : [required(at3, "schemas are required"), ...columns];
};

const versionOf = (crd: JsonObject, name: string): JsonObject | undefined =>
  objects(at(crd, "spec", "versions")).find((version) => version.name === name);

/** The schema of one version, with apiVersion, kind and metadata as every object has them; undefined when there is no such version. */
export const crdSchema = (crd: JsonObject, version: string): JsonSchema | undefined => {
  const schema = at(versionOf(crd, version), "schema", "openAPIV3Schema");
  if (!isObject(schema)) return undefined;
  // checkCrd has accepted it when it was stored.
  const root = schema as JsonSchema;
  const gvk = { group: str(at(crd, "spec", "group")) ?? "", version, kind: str(at(crd, "spec", "names", "kind")) ?? "" };
  const properties = {
    ...root.properties,
    apiVersion: { type: "string" },
    kind: { type: "string" },
    metadata: objectMetaSchema(),
  } as const;
  return { ...root, properties, "x-kubernetes-group-version-kind": [gvk] };
};

/** The columns of one version; a version that names none has only its age (beside the name, which every table has). */
export const printerColumns = (crd: JsonObject, version: string): readonly PrinterColumn[] => {
  const columns = objects(versionOf(crd, version)?.additionalPrinterColumns).map((column) => {
    const [format, description, priority] = [str(column.format), str(column.description), num(column.priority)];
    return {
      name: str(column.name) ?? "",
      type: str(column.type) ?? "string",
      jsonPath: str(column.jsonPath) ?? "",
      ...(format === undefined ? {} : { format }),
      ...(description === undefined ? {} : { description }),
      ...(priority === undefined ? {} : { priority }),
    };
  });
  return columns.length > 0 ? columns : [{ name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" }];
};

export const scalePaths = (crd: JsonObject, version: string): ScalePaths | undefined => {
  const scale = at(versionOf(crd, version), "subresources", "scale");
  const [spec, status, selector] = ["specReplicasPath", "statusReplicasPath", "labelSelectorPath"].map((name) => str(at(scale, name)));
  if (spec === undefined || status === undefined) return undefined;
  return { specReplicasPath: spec, statusReplicasPath: status, ...(selector === undefined ? {} : { labelSelectorPath: selector }) };
};

export const hasStatusSubresource = (crd: JsonObject, version: string): boolean =>
  isObject(at(versionOf(crd, version), "subresources", "status"));
