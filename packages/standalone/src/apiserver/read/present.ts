// How does an object look to the one who asked: version, Table, metadata only?

import { jsonOf } from "../model/json.ts";
import { apiVersionOf, type JsonObject, type KubeObject, obj } from "../model/object.ts";
import type { ApiResource } from "../registry/types.ts";
import type { Encoding } from "../rest/options.ts";
import { toTable } from "../table/print.ts";

const converted = new WeakMap<ApiResource, WeakMap<KubeObject, KubeObject>>();

/** A stored object in the resource's version; converted once per object, so that its text is made once too. */
export const presented = (r: ApiResource, o: KubeObject): KubeObject => {
  if (r.convert === undefined) return o;
  const cache = converted.get(r) ?? new WeakMap<KubeObject, KubeObject>();
  converted.set(r, cache);
  const have = cache.get(o);
  if (have !== undefined) return have;
  const made = r.convert.fromStored(o);
  cache.set(o, made);
  return made;
};

export type ListMeta = { readonly resourceVersion: string; readonly continue?: string; readonly remainingItemCount?: number };

/** `include` is the includeObject query parameter: what a Table's rows carry. */
export type View = { readonly encoding: Encoding; readonly include: "None" | "Metadata" | "Object"; readonly now: number };

const partial = (o: KubeObject): JsonObject => ({ kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: o.metadata });

const rowObject = (o: JsonObject, include: View["include"]): { object?: unknown } => {
  if (include === "None") return {};
  if (include === "Object") return { object: o };
  return { object: { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: obj(o.metadata) } };
};

const table = (
  r: ApiResource,
  objects: readonly KubeObject[],
  { view, metadata, version }: { view: View; metadata: unknown; version: string },
): string => {
  const made = toTable(r, objects, view.now, r.custom?.columns);
  return JSON.stringify({
    kind: "Table",
    apiVersion: `meta.k8s.io/${version}`,
    metadata,
    columnDefinitions: made.columnDefinitions,
    rows: made.rows.map((row) => ({ cells: row.cells, ...rowObject(row.object, view.include) })),
  });
};

/** One object's text. */
export const objectText = (r: ApiResource, stored: KubeObject, view: View): string => {
  const o = presented(r, stored);
  switch (view.encoding.as) {
    case "json":
      return jsonOf(o);
    case "metadata":
      return JSON.stringify(partial(o));
    case "table":
      return table(r, [o], { view, metadata: { resourceVersion: o.metadata.resourceVersion }, version: view.encoding.version });
  }
};

/** A list's text, from its items' texts. */
export const listText = (r: ApiResource, stored: readonly KubeObject[], { view, metadata }: { view: View; metadata: ListMeta }): string => {
  const items = stored.map((o) => presented(r, o));
  switch (view.encoding.as) {
    case "json":
      return `{"kind":"${r.listKind}","apiVersion":"${apiVersionOf(r.group, r.version)}","metadata":${JSON.stringify(metadata)},"items":[${items.map(jsonOf).join(",")}]}`;
    case "metadata":
      return JSON.stringify({ kind: "PartialObjectMetadataList", apiVersion: "meta.k8s.io/v1", metadata, items: items.map(partial) });
    case "table":
      return table(r, items, { view, metadata, version: view.encoding.version });
  }
};
