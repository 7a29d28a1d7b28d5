// How is an OpenAPI v2 document written in gnostic's protobuf messages? (field numbers: github.com/google/gnostic OpenAPIv2.proto)

import { isObject, type JsonObject, objects } from "../model/object.ts";
import { double, integer, type Message, message, nested, text, texts, truth } from "./wire.ts";

const entries = (value: unknown): readonly (readonly [string, unknown])[] => (isObject(value) ? Object.entries(value) : []);

/** NamedAny: vendor extensions carry their value as YAML, of which JSON is a part. */
const extensions = (field: number, node: JsonObject): Message =>
  entries(node)
    .filter(([name]) => name.startsWith("x-"))
    .map(([name, value]) => nested(field, [text(1, name), nested(2, [text(2, JSON.stringify(value))])]));

const namedSchemas = (field: number, schemas: unknown): Message =>
  entries(schemas).map(([name, schema]) => nested(field, [text(1, name), nested(2, schemaFields(schema))]));

const additionalProperties = (value: unknown): Uint8Array | undefined => {
  if (isObject(value)) return nested(21, [nested(1, schemaFields(value))]);
  return value === true ? nested(21, [truth(2, true)]) : undefined;
};

/** Schema. */
const schemaFields = (schema: unknown): Message => {
  if (!isObject(schema)) return [];
  return [
    text(1, schema.$ref),
    text(2, schema.format),
    text(4, schema.description),
    double(6, schema.multipleOf),
    double(7, schema.maximum),
    truth(8, schema.exclusiveMaximum),
    double(9, schema.minimum),
    truth(10, schema.exclusiveMinimum),
    integer(11, schema.maxLength),
    integer(12, schema.minLength),
    text(13, schema.pattern),
    integer(14, schema.maxItems),
    integer(15, schema.minItems),
    truth(16, schema.uniqueItems),
    integer(17, schema.maxProperties),
    integer(18, schema.minProperties),
    texts(19, schema.required),
    ...(Array.isArray(schema.enum) ? schema.enum.map((value) => nested(20, [text(2, JSON.stringify(value))])) : []),
    additionalProperties(schema.additionalProperties),
    typeof schema.type === "string" ? nested(22, [text(1, schema.type)]) : undefined,
    isObject(schema.items) ? nested(23, [nested(1, schemaFields(schema.items))]) : undefined,
    isObject(schema.properties) ? nested(25, namedSchemas(1, schema.properties)) : undefined,
    ...extensions(31, schema),
  ];
};

/** ParametersItem → Parameter → NonBodyParameter → Query- or PathParameterSubSchema. */
const parameter = (field: number, p: JsonObject): Uint8Array => {
  const head = [truth(1, p.required), text(2, p.in), text(3, p.description), text(4, p.name)];
  const schema = p.in === "query" ? nested(3, [...head, text(6, p.type)]) : nested(4, [...head, text(5, p.type)]);
  return nested(field, [nested(1, [nested(2, [schema])])]);
};

/** NamedResponseValue → ResponseValue → Response → SchemaItem → Schema. */
const response = (status: string, value: unknown): Uint8Array => {
  const r = isObject(value) ? value : {};
  const schema = r.schema === undefined ? undefined : nested(2, [nested(1, schemaFields(r.schema))]);
  return nested(1, [text(1, status), nested(2, [nested(1, [text(1, r.description), schema])])]);
};

const operation = (value: unknown): Message => {
  if (!isObject(value)) return [];
  return [
    text(5, value.operationId),
    texts(6, value.produces),
    texts(7, value.consumes),
    ...objects(value.parameters).map((p) => parameter(8, p)),
    nested(
      9,
      entries(value.responses).map(([status, r]) => response(status, r)),
    ),
    texts(10, value.schemes),
    ...extensions(13, value),
  ];
};

const METHODS = { get: 2, put: 3, post: 4, delete: 5, patch: 8 } as const;

const pathItem = (item: unknown): Message => {
  if (!isObject(item)) return [];
  const operations = Object.entries(METHODS).map(([method, field]) =>
    item[method] === undefined ? undefined : nested(field, operation(item[method])),
  );
  return [...operations, ...objects(item.parameters).map((p) => parameter(9, p))];
};

/** Document. */
export const encodeDocument = (document: JsonObject): Uint8Array => {
  const info = isObject(document.info) ? document.info : {};
  return message([
    text(1, document.swagger),
    nested(2, [text(1, info.title), text(2, info.version)]),
    nested(
      8,
      entries(document.paths).map(([path, item]) => nested(2, [text(1, path), nested(2, pathItem(item))])),
    ),
    nested(9, namedSchemas(1, document.definitions)),
  ]);
};
