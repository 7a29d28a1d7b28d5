// Which columns does `kubectl get` show for a list of objects?

import type { PrinterColumn } from "../schema/crd.ts";
import type { JsonObject } from "../schema/types.ts";

export type TableResource = { readonly group: string; readonly resource: string };

/** A meta.k8s.io/v1 Table without apiVersion, kind and list metadata; each row carries its object whole (the caller narrows it to PartialObjectMetadata). */
export type Table = {
  readonly columnDefinitions: readonly { name: string; type: string; format: string; description: string; priority: number }[];
  readonly rows: readonly { readonly cells: readonly unknown[]; readonly object: JsonObject }[];
};

/** `now` is in epoch milliseconds. `columns` are a CRD's additionalPrinterColumns. */
export const toTable = (
  _resource: TableResource,
  objects: readonly JsonObject[],
  _now: number,
  _columns?: readonly PrinterColumn[],
): Table => ({
  columnDefinitions: [],
  rows: objects.map((object) => ({ cells: [], object })),
});
