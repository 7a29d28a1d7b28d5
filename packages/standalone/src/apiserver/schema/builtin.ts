// Which schema has a built-in kind?

import { type Definition, definition, definitionsOf } from "./store.ts";
import type { Gvk, JsonSchema } from "./types.ts";

const OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/** API group and version → the package of its definitions. */
const PACKAGES: { readonly [groupVersion: string]: string } = {
  "/v1": "io.k8s.api.core.v1",
  "apps/v1": "io.k8s.api.apps.v1",
  "batch/v1": "io.k8s.api.batch.v1",
  "autoscaling/v1": "io.k8s.api.autoscaling.v1",
  "autoscaling/v2": "io.k8s.api.autoscaling.v2",
  "coordination.k8s.io/v1": "io.k8s.api.coordination.v1",
  "discovery.k8s.io/v1": "io.k8s.api.discovery.v1",
  "events.k8s.io/v1": "io.k8s.api.events.v1",
  "networking.k8s.io/v1": "io.k8s.api.networking.v1",
  "policy/v1": "io.k8s.api.policy.v1",
  "rbac.authorization.k8s.io/v1": "io.k8s.api.rbac.v1",
  "scheduling.k8s.io/v1": "io.k8s.api.scheduling.v1",
  "authentication.k8s.io/v1": "io.k8s.api.authentication.v1",
  "authorization.k8s.io/v1": "io.k8s.api.authorization.v1",
  "admissionregistration.k8s.io/v1": "io.k8s.api.admissionregistration.v1",
  "apiextensions.k8s.io/v1": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",
  "meta.k8s.io/v1": "io.k8s.apimachinery.pkg.apis.meta.v1",
};

/** The published definition's name, such as `io.k8s.api.apps.v1.Deployment`, when the server has that kind built in. */
export const definitionName = (gvk: Gvk): string | undefined => {
  const packageName = PACKAGES[`${gvk.group}/${gvk.version}`];
  if (packageName === undefined) return undefined;
  const name = `${packageName}.${gvk.kind}`;
  return definition(name) === undefined ? undefined : name;
};

/** Names of all definitions of a built-in group and version. */
export const definitionNames = (group: string, version: string): readonly string[] => {
  const packageName = PACKAGES[`${group}/${version}`];
  return packageName === undefined ? [] : Object.keys(definitionsOf(packageName));
};

/** A status is written by whoever observed it, field by field: Go decodes a missing field to its zero value, so nothing in it is required. */
type Strictness = "whole" | "observed";

const linked = new Map<string, JsonSchema>();

const linkRef = (ref: string, strictness: Strictness): JsonSchema => {
  const name = ref.slice(ref.lastIndexOf("/") + 1);
  const key = `${strictness}:${name}`;
  const known = linked.get(key);
  if (known !== undefined) return known;
  const found = definition(name);
  if (found === undefined) throw new Error(`the definition ${name} is missing in schema/gen`);
  const made = link(found, strictness);
  linked.set(key, made);
  return made;
};

/** The definition with its refs followed. The generated definitions are not recursive (free-form where Kubernetes' are). */
const link = (node: Definition, strictness: Strictness): JsonSchema => {
  const { $ref, properties, items, additionalProperties, required, ...rest } = node as Definition & {
    $ref?: string;
    properties?: { [name: string]: Definition };
    items?: Definition;
    additionalProperties?: Definition | boolean;
    required?: readonly string[];
  };
  return {
    ...($ref === undefined ? {} : linkRef($ref, strictness)),
    ...rest,
    ...(required === undefined || strictness === "observed" ? {} : { required }),
    ...(properties === undefined ? {} : { properties: linkProperties(properties, strictness) }),
    ...(items === undefined ? {} : { items: link(items, strictness) }),
    ...(typeof additionalProperties === "object" ? { additionalProperties: link(additionalProperties, strictness) } : {}),
  };
};

const linkProperties = (
  properties: { [name: string]: Definition; metadata?: Definition },
  strictness: Strictness,
): { [name: string]: JsonSchema } =>
  Object.fromEntries(
    Object.entries(properties).map(([name, child]) => [
      name,
      link(child, name === "status" && properties.metadata !== undefined ? "observed" : strictness),
    ]),
  );

const roots = new Map<string, JsonSchema>();

/** The schema of a built-in kind, or nothing. The same object every time: treat it as frozen. */
export const schemaFor = (gvk: Gvk): JsonSchema | undefined => {
  const name = definitionName(gvk);
  if (name === undefined) return undefined;
  const known = roots.get(name);
  if (known !== undefined) return known;
  const made: JsonSchema = { ...linkRef(name, "whole"), "x-ambit-null-is-absent": true };
  roots.set(name, made);
  return made;
};

/** The schema of `metadata`, the same for every kind. */
export const objectMetaSchema = (): JsonSchema => ({ ...linkRef(OBJECT_META, "whole"), "x-ambit-null-is-absent": true });
