// How is one column of a table described and filled?

import { at, type JsonObject, obj, objects, str } from "../model/object.ts";
import { since } from "./age.ts";

export type Column = {
  readonly name: string;
  readonly type: "string" | "integer" | "date" | "boolean" | "number";
  /** "name" for the column that identifies the row. */
  readonly format?: string;
  readonly description?: string;
  /** 1 shows only with -o wide. */
  readonly priority?: number;
  /** `now` in epoch milliseconds. Null is an empty cell. */
  readonly cell: (object: JsonObject, now: number) => unknown;
};

export const text = (name: string, cell: Column["cell"]): Column => ({ name, type: "string", cell });
export const integer = (name: string, cell: Column["cell"]): Column => ({ name, type: "integer", cell });
export const wide = (column: Column): Column => ({ ...column, priority: 1 });

export const NAME: Column = {
  name: "Name",
  type: "string",
  format: "name",
  description: "Name must be unique within a namespace.",
  cell: (object) => str(at(object, "metadata", "name")) ?? "",
};

export const AGE: Column = {
  name: "Age",
  type: "string",
  description: "CreationTimestamp is a timestamp representing the server time when this object was created.",
  cell: (object, now) => since(at(object, "metadata", "creationTimestamp"), now),
};

export const CREATED: Column = { name: "Created At", type: "date", cell: (object) => at(object, "metadata", "creationTimestamp") ?? null };

export const NONE = "<none>";

export const orNone = (value: unknown): string => (typeof value === "string" && value !== "" ? value : NONE);

export const number = (value: unknown): number => (typeof value === "number" ? value : 0);

/** `a=b,c=d`, or `<none>`. */
export const labelsText = (labels: unknown): string => {
  const pairs = Object.entries(obj(labels)).map(([key, value]) => `${key}=${String(value)}`);
  return pairs.length === 0 ? NONE : pairs.sort().join(",");
};

/** A LabelSelector as kubectl writes it. */
export const selectorText = (selector: unknown): string => {
  const pairs = Object.entries(obj(at(selector, "matchLabels"))).map(([key, value]) => `${key}=${String(value)}`);
  const expressions = objects(at(selector, "matchExpressions")).map((e) => {
    const values = Array.isArray(e.values) ? e.values.join(",") : "";
    if (e.operator === "Exists") return String(e.key);
    if (e.operator === "DoesNotExist") return `!${String(e.key)}`;
    return `${String(e.key)} ${e.operator === "In" ? "in" : "notin"} (${values})`;
  });
  const all = [...pairs.sort(), ...expressions];
  return all.length === 0 ? NONE : all.join(",");
};

const containers = (object: JsonObject): readonly JsonObject[] => objects(at(object, "spec", "template", "spec", "containers"));

export const CONTAINERS = wide(
  text("Containers", (object) =>
    containers(object)
      .map((c) => c.name)
      .join(","),
  ),
);
export const IMAGES = wide(
  text("Images", (object) =>
    containers(object)
      .map((c) => c.image)
      .join(","),
  ),
);
export const SELECTOR = wide(text("Selector", (object) => selectorText(at(object, "spec", "selector"))));
