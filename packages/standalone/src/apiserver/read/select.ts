// Does an object belong to a list or watch?

import { matchesRequirement } from "@ambit/shared/kube/selector.ts";
import { badRequest } from "../model/errors.ts";
import type { KubeObject } from "../model/object.ts";
import type { ApiResource } from "../registry/types.ts";
import { type FieldRequirement, matchesFields } from "../select/fields.ts";
import type { Requirements } from "../select/labels.ts";

export type Selection = {
  readonly resource: ApiResource;
  readonly namespace: string | undefined;
  readonly labels: Requirements;
  readonly fields: readonly FieldRequirement[];
};

const fieldsOf = (r: ApiResource, o: KubeObject): { readonly [key: string]: string } => ({
  ...r.strategy.fields?.(o),
  "metadata.name": o.metadata.name ?? "",
  "metadata.namespace": o.metadata.namespace ?? "",
});

/** Throws 400 when a field selector names a field that the resource does not offer. */
export const checkSelection = ({ resource, fields }: Selection): void => {
  const offered = new Set(["metadata.name", "metadata.namespace", ...(resource.strategy.fieldNames ?? [])]);
  for (const f of fields) if (!offered.has(f.field)) throw badRequest(`field label not supported: ${f.field}`);
};

export const selects = (s: Selection, o: KubeObject): boolean =>
  (s.namespace === undefined || o.metadata.namespace === s.namespace) &&
  s.labels.every((r) => matchesRequirement(r, o.metadata.labels)) &&
  (s.fields.length === 0 || matchesFields(s.fields, fieldsOf(s.resource, o)));
