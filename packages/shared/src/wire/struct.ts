// How is JSON written as google.protobuf.Struct and read back?

import { all, err, mapOk, ok, type Result } from "../runtime/result.ts";
import type { JsonObject, JsonValue } from "./types.ts";

export type WireValue = {
  nullValue?: number;
  numberValue?: number;
  stringValue?: string;
  boolValue?: boolean;
  structValue?: WireStruct | null;
  listValue?: { values: WireValue[] } | null;
};
export type WireStruct = { fields: Record<string, WireValue> };

const writeValue = (v: JsonValue): WireValue => {
  if (v === null) return { nullValue: 0 };
  if (typeof v === "number") return { numberValue: v };
  if (typeof v === "string") return { stringValue: v };
  if (typeof v === "boolean") return { boolValue: v };
  if (isList(v)) return { listValue: { values: v.map(writeValue) } };
  return { structValue: writeStruct(v) };
};

const isList = (v: readonly JsonValue[] | JsonObject): v is readonly JsonValue[] => Array.isArray(v);

export const writeStruct = (o: JsonObject): WireStruct => ({
  fields: Object.fromEntries(Object.entries(o).map(([k, v]) => [k, writeValue(v)])),
});

const readValue = (v: WireValue): Result<JsonValue> => {
  const has = (k: keyof WireValue): boolean => Object.hasOwn(v, k) && v[k] !== undefined;
  if (has("nullValue")) return ok(null);
  if (has("numberValue")) return ok(v.numberValue ?? 0);
  if (has("stringValue")) return ok(v.stringValue ?? "");
  if (has("boolValue")) return ok(v.boolValue ?? false);
  if (v.structValue) return readStruct(v.structValue);
  if (v.listValue) return all(v.listValue.values.map(readValue));
  return err("a value of the metadata is empty");
};

const readStruct = (s: WireStruct): Result<JsonObject> =>
  mapOk(all(Object.entries(s.fields).map(([k, v]) => mapOk(readValue(v), (value) => [k, value] as const))), Object.fromEntries);

export const readOptionalStruct = (s: WireStruct | null | undefined): Result<JsonObject> => (s ? readStruct(s) : ok({}));
