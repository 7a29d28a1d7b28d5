// Do the tables that addresses are read by say what the schema says?

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import protobuf from "protobufjs";
import { ADDRESS_TABLE } from "./address-table.ts";
import type { FieldKind, Table } from "./table.ts";

const proto = (name: string): string => readFileSync(new URL(`../proto/${name}.proto`, import.meta.url), "utf8");
const root = new protobuf.Root();
for (const name of ["google", "workload"]) protobuf.parse(proto(name), root);
root.resolveAll();

/** Fields of the schema that are not read, as ztunnel does not. */
const IGNORED: ReadonlySet<string> = new Set(["Workload.extensions"]);

const kindOf = (f: protobuf.Field): string => {
  const type = f.resolvedType instanceof protobuf.Enum ? "int32" : f.resolvedType instanceof protobuf.Type ? "message" : f.type;
  const optional = f.options?.proto3_optional === true ? "optional-" : "";
  return f.map ? "map" : f.repeated ? `repeated ${type}` : `${optional}${type}`;
};
const tableKind = (kind: FieldKind): string => {
  if (typeof kind === "string") return kind;
  if ("repeated" in kind) return `repeated ${typeof kind.repeated === "string" ? kind.repeated : "message"}`;
  return "mapOf" in kind ? "map" : "message";
};
const children = (kind: FieldKind): readonly Table[] => {
  if (typeof kind === "string") return [];
  if ("message" in kind) return [kind.message];
  if ("mapOf" in kind) return Object.values(kind.mapOf.fields).flatMap(([, k]) => children(k));
  return typeof kind.repeated === "string" ? [] : [kind.repeated.message];
};

const all = (t: Table): readonly Table[] => [t, ...Object.values(t.fields).flatMap(([, kind]) => children(kind).flatMap(all))];

for (const t of new Map(all(ADDRESS_TABLE).map((x) => [x.name, x])).values()) {
  test(`${t.name} has the schema's fields`, () => {
    const fields = root.lookupType(t.name).fieldsArray.filter((f) => !IGNORED.has(`${t.name}.${f.name}`));
    assert.deepEqual(
      Object.fromEntries(fields.map((f) => [f.id, `${f.name} ${kindOf(f)}`])),
      Object.fromEntries(Object.entries(t.fields).map(([id, [name, kind]]) => [id, `${name} ${tableKind(kind)}`])),
    );
  });
}
