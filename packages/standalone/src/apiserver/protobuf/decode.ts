// Which object does a body of type application/vnd.kubernetes.protobuf hold?
//
// kubectl's typed commands (create, auth, token, …) send it. The envelope is "k8s\0" and a runtime.Unknown
// (k8s.io/apimachinery/pkg/runtime/serializer/protobuf); answers stay JSON, which such clients accept too.

import type { JsonObject } from "../model/object.ts";
import { KINDS, MESSAGES } from "./gen/fields.ts";
import { asBytes, asDouble, asInt, asText, fieldsOf, ProtobufError, type WireField } from "./reader.ts";

export const PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf";

const MAGIC = [0x6b, 0x38, 0x73, 0x00];

type Value = WireField["value"];

const only = (v: Value, number: number): Value | undefined => fieldsOf(asBytes(v)).findLast((f) => f.number === number)?.value;

const base64 = (bytes: Uint8Array): string => btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(""));

const json = (v: Value | undefined): unknown => {
  if (v === undefined) return undefined;
  try {
    return JSON.parse(asText(v));
  } catch (e) {
    if (e instanceof SyntaxError) throw new ProtobufError("a raw field is not JSON", { cause: e });
    throw e;
  }
};

/** Days since 1970-01-01 to a date (Howard Hinnant's civil_from_days): the clock is not asked. */
const civil = (days: number): string => {
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const doe = z - era * 146_097;
  const yoe = Math.floor((doe - Math.floor(doe / 1460) + Math.floor(doe / 36_524) - Math.floor(doe / 146_096)) / 365);
  const doy = doe - (365 * yoe + Math.floor(yoe / 4) - Math.floor(yoe / 100));
  const mp = Math.floor((5 * doy + 2) / 153);
  const month = mp < 10 ? mp + 3 : mp - 9;
  const year = yoe + era * 400 + (month <= 2 ? 1 : 0);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${String(year).padStart(4, "0")}-${two(month)}-${two(doy - Math.floor((153 * mp + 2) / 5) + 1)}`;
};

/** metav1.Time and MicroTime; the zero time reads as absent. */
const time = (v: Value, micro: boolean): string | undefined => {
  const fields = fieldsOf(asBytes(v));
  const part = (number: number): number => {
    const f = fields.findLast((x) => x.number === number);
    return f === undefined ? 0 : asInt(f.value);
  };
  if (fields.length === 0) return undefined;
  const [seconds, nanos] = [part(1), part(2)];
  const day = Math.floor(seconds / 86_400);
  const rest = seconds - day * 86_400;
  const two = (n: number) => String(Math.floor(n)).padStart(2, "0");
  const fraction = micro ? `.${String(Math.floor(nanos / 1000)).padStart(6, "0")}` : "";
  return `${civil(day)}T${two(rest / 3600)}:${two((rest % 3600) / 60)}:${two(rest % 60)}${fraction}Z`;
};

const intOrString = (v: Value): number | string => {
  const type = only(v, 1);
  const [number, text] = [only(v, 2), only(v, 3)];
  if (type !== undefined && asInt(type) === 1) return text === undefined ? "" : asText(text);
  return number === undefined ? 0 : asInt(number);
};

const SCALARS: { readonly [type: string]: (v: Value) => unknown } = {
  string: asText,
  bool: (v) => asInt(v) !== 0,
  int: asInt,
  double: asDouble,
  bytes: (v) => base64(asBytes(v)),
  Time: (v) => time(v, false),
  MicroTime: (v) => time(v, true),
  Duration: (v) => `${asInt(only(v, 1) ?? 0n) / 1e9}s`,
  Quantity: (v) => asText(only(v, 1) ?? new Uint8Array()),
  IntOrString: intOrString,
  FieldsV1: (v) => json(only(v, 1)),
  RawExtension: (v) => json(only(v, 1)),
  Items: (v) =>
    fieldsOf(asBytes(v))
      .filter((f) => f.number === 1)
      .map((f) => asText(f.value)),
};

const one = (type: string, v: Value): unknown => {
  const scalar = SCALARS[type];
  return scalar === undefined ? message(type, asBytes(v)) : scalar(v);
};

/** What Go's omitempty leaves out of JSON: the zero of a field that is no pointer. */
const isZero = (v: unknown): boolean => v === undefined || v === "" || v === 0 || v === false;

const entry = (type: string, v: Value): readonly [string, unknown] => {
  const [key, value] = [only(v, 1), only(v, 2)];
  return [key === undefined ? "" : asText(key), one(type, value ?? (type === "int" || type === "bool" ? 0n : new Uint8Array()))];
};

const message = (name: string, bytes: Uint8Array): JsonObject => {
  const table = MESSAGES[name];
  if (table === undefined) throw new ProtobufError(`message ${name} is not known`);
  const out = new Map<string, unknown>();
  for (const [number, group] of Map.groupBy(fieldsOf(bytes), (f) => f.number)) {
    const [field, type] = table[String(number)] ?? [];
    if (field === undefined || type === undefined) continue; // a newer client's field, as protobuf has it
    const last = group.at(-1)?.value ?? new Uint8Array();
    if (type.startsWith("^")) for (const [k, v] of Object.entries(message(type.slice(1).replace("*", ""), asBytes(last)))) out.set(k, v);
    else if (type.startsWith("[]"))
      out.set(
        field,
        group.map((f) => one(type.slice(2).replace("*", ""), f.value)),
      );
    else if (type.startsWith("{}")) out.set(field, Object.fromEntries(group.map((f) => entry(type.slice(2), f.value))));
    else if (type.startsWith("*")) out.set(field, one(type.slice(1), last));
    else {
      const v = one(type, last);
      if (!isZero(v)) out.set(field, v);
    }
  }
  return Object.fromEntries([...out].filter(([, v]) => v !== undefined));
};

const messageFor = (apiVersion: string, kind: string): string | undefined =>
  kind === "DeleteOptions" ? "meta.DeleteOptions" : KINDS[`${apiVersion}/${kind}`];

/** The object as its JSON form would have it. Throws ProtobufError for bytes that are none, or of a kind that is not known. */
export const decodeObject = (bytes: Uint8Array): JsonObject => {
  if (MAGIC.some((b, i) => bytes[i] !== b)) throw new ProtobufError("the body does not begin with Kubernetes' protobuf mark");
  const unknown = fieldsOf(bytes.subarray(MAGIC.length));
  const typeMeta = unknown.find((f) => f.number === 1)?.value ?? new Uint8Array();
  const text = (number: number): string => {
    const v = only(typeMeta, number);
    return v === undefined ? "" : asText(v);
  };
  const [apiVersion, kind] = [text(1), text(2)];
  const name = messageFor(apiVersion, kind);
  if (name === undefined) throw new ProtobufError(`${kind} of ${apiVersion} is not known in protobuf`);
  return { apiVersion, kind, ...message(name, asBytes(unknown.find((f) => f.number === 2)?.value ?? new Uint8Array())) };
};
