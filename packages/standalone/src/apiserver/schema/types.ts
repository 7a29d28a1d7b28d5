// What does a schema look like to the API machinery: validation, merging, field ownership and OpenAPI?

export type { JsonObject } from "../model/object.ts";

export type Gvk = { readonly group: string; readonly version: string; readonly kind: string };

/**
 * An OpenAPI v3 schema with Kubernetes' extensions, all `$ref`s already followed (shared nodes are shared objects, so
 * treat it as frozen). A missing `type` with no other structure accepts anything.
 * Sources: apiextensions.k8s.io/v1 JSONSchemaProps; `x-kubernetes-patch-*` as in Kubernetes' published OpenAPI.
 */
export type JsonSchema = {
  readonly type?: "object" | "array" | "string" | "integer" | "number" | "boolean";
  readonly description?: string;
  readonly format?: string;
  readonly nullable?: boolean;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: { readonly [name: string]: JsonSchema };
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly exclusiveMaximum?: boolean;
  readonly multipleOf?: number;
  readonly allOf?: readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly not?: JsonSchema;
  readonly "x-kubernetes-preserve-unknown-fields"?: boolean;
  readonly "x-kubernetes-embedded-resource"?: boolean;
  readonly "x-kubernetes-int-or-string"?: boolean;
  readonly "x-kubernetes-list-type"?: "atomic" | "set" | "map";
  readonly "x-kubernetes-list-map-keys"?: readonly string[];
  readonly "x-kubernetes-map-type"?: "atomic" | "granular";
  readonly "x-kubernetes-patch-merge-key"?: string;
  /** Comma separated, as Kubernetes publishes it: `merge`, `retainKeys`, `merge,retainKeys`. */
  readonly "x-kubernetes-patch-strategy"?: string;
  readonly "x-kubernetes-group-version-kind"?: readonly Gvk[];
  readonly "x-kubernetes-validations"?: readonly unknown[];
  /** Ours, never published: below here a null counts as absent, as it does where Go decodes into a struct (built-in kinds, ObjectMeta). */
  readonly "x-ambit-null-is-absent"?: boolean;
};

/** One reason why an object was refused, as it stands in `Status.details.causes`. */
export type Cause = {
  /** Path as Kubernetes writes it, such as `spec.containers[0].ports[1].protocol`. */
  readonly field: string;
  readonly reason:
    | "FieldValueRequired"
    | "FieldValueInvalid"
    | "FieldValueNotSupported"
    | "FieldValueTypeInvalid"
    | "FieldValueDuplicate"
    | "FieldValueForbidden"
    | "FieldValueTooLong"
    | "FieldValueTooMany";
  readonly message: string;
};
