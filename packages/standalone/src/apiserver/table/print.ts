// Which columns does `kubectl get` show for a list of objects?

import type { JsonObject } from "../model/object.ts";
import type { PrinterColumn } from "../schema/crd.ts";
import { since } from "./age.ts";
import { AGE, type Column, NAME } from "./column.ts";
import { CORE_COLUMNS } from "./core.ts";
import { findJsonPath, parseJsonPath } from "./jsonpath.ts";
import { POD_COLUMNS } from "./pod.ts";
import { WORKLOAD_COLUMNS } from "./workloads.ts";

export type TableResource = { readonly group: string; readonly resource: string };

/** The body of a meta.k8s.io/v1 Table; each row carries its object whole (the caller narrows it to PartialObjectMetadata). */
export type Table = {
  readonly columnDefinitions: readonly { name: string; type: string; format: string; description: string; priority: number }[];
  readonly rows: readonly { readonly cells: readonly unknown[]; readonly object: JsonObject }[];
};

const BUILTIN: { readonly [resource: string]: readonly Column[] } = {
  "/pods": POD_COLUMNS,
  ...CORE_COLUMNS,
  "events.k8s.io/events": CORE_COLUMNS["/events"] ?? [],
  ...WORKLOAD_COLUMNS,
};

const DEFAULT: readonly Column[] = [NAME, AGE];

/** The value of a CRD's column (apiextensions-apiserver's tableconvertor: the first value found; strings are printed, others typed). */
const customCell = (type: string, value: unknown, now: number): unknown => {
  if (value === undefined || value === null) return null;
  switch (type) {
    case "date":
      return typeof value === "string" ? since(value, now).replace("<unknown>", "<invalid>") : null;
    case "integer":
      return typeof value === "number" ? Math.trunc(value) : null;
    case "number":
      return typeof value === "number" ? value : null;
    case "boolean":
      return typeof value === "boolean" ? value : null;
    default:
      return typeof value === "object" ? JSON.stringify(value) : String(value);
  }
};

const customColumn = (column: PrinterColumn): Column => {
  const path = parseJsonPath(column.jsonPath);
  const type =
    column.type === "integer" || column.type === "number" || column.type === "boolean" || column.type === "date" ? column.type : "string";
  return {
    name: column.name,
    // A date is sent as its age, which is a string to kubectl.
    type,
    ...(column.format === undefined ? {} : { format: column.format }),
    ...(column.description === undefined ? {} : { description: column.description }),
    ...(column.priority === undefined ? {} : { priority: column.priority }),
    cell: (object, now) => (path.ok ? customCell(type, findJsonPath(object, path.value)[0], now) : null),
  };
};

const columnsOf = (resource: TableResource, custom: readonly PrinterColumn[] | undefined): readonly Column[] =>
  custom === undefined ? (BUILTIN[`${resource.group}/${resource.resource}`] ?? DEFAULT) : [NAME, ...custom.map(customColumn)];

/** `now` is in epoch milliseconds. `columns` are a CRD's additionalPrinterColumns. */
export const toTable = (
  resource: TableResource,
  objects: readonly JsonObject[],
  now: number,
  columns?: readonly PrinterColumn[],
): Table => {
  const shown = columnsOf(resource, columns);
  return {
    columnDefinitions: shown.map(({ name, type, format = "", description = "", priority = 0 }) => ({
      name,
      type,
      format,
      description,
      priority,
    })),
    rows: objects.map((object) => ({ cells: shown.map((column) => column.cell(object, now)), object })),
  };
};
