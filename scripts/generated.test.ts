// Are the generated files what their generators write?

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { CRD_DIRECTORY, generateCrds } from "./generate-crds.ts";
import { generateSchemas, SCHEMA_DIRECTORY } from "./generate-schemas.ts";
import { parseDeclaration } from "./models/docs.ts";
import { decompile } from "./models/validator.ts";

const committed = (directory: string): ReadonlyMap<string, string> =>
  new Map(readdirSync(directory).map((name) => [name, readFileSync(join(directory, name), "utf8")]));

const same = (generated: ReadonlyMap<string, string>, directory: string): void => {
  const stored = committed(directory);
  assert.deepEqual([...stored.keys()].sort(), [...generated.keys()].sort());
  for (const [name, text] of generated) assert.ok(stored.get(name) === text, `${name} differs from what its generator writes`);
};

test("deploy/crds is what its generator writes", () => same(generateCrds(), CRD_DIRECTORY));

test("the API server's schemas are what their generator writes", () => same(generateSchemas(), SCHEMA_DIRECTORY));

test("a compiled validator is read back keyword by keyword", () => {
  const head = '{instancePath="",parentData,parentDataProperty,rootData=data}={}){let vErrors=null,errors=0;';
  const error = (keyword: string, params: string) =>
    `let err0={instancePath,schemaPath:"#/${keyword}",keyword:"${keyword}",params:{${params}}};`;
  const fn = (n: number, body: string) => `function validate${n}(data,${head}${body}return validate${n}.errors=vErrors,0===errors}`;
  const source = [
    "export const validate=validate0;",
    'import{validate as validate9}from"./Other.js";',
    'let schema1_enum=["a}","b"];',
    fn(
      1,
      `if("string"!=typeof data&&null!==data){${error("type", 'type:"string"')}}${error("enum", "allowedValues:schema1_enum")}${error("pattern", 'pattern:"^a{1,2}$"')}`,
    ),
    fn(2, `validate1(data[i0],{x})${error("maxItems", "limit:3")}`),
    fn(3, `validate1(data[key0],{x})`),
    fn(4, error("required", 'missingProperty:"a"')),
    fn(5, `validate4(data,{x})${error("not", "")}`),
    fn(
      0,
      `${error("required", 'missingProperty:"l"')}validate2(data.l,{x})validate3(data["x-y"],{x})validate9(data.r,{x})validate5(data,{x})validate4(data,{x})${error("oneOf", "passingSchemas:passing0")}`,
    ),
  ].join("");
  const text = { type: "string", enum: ["a}", "b"], pattern: "^a{1,2}$", nullable: true };
  assert.deepEqual(decompile(source), {
    required: ["l"],
    properties: { l: { items: text, maxItems: 3 }, "x-y": { additionalProperties: text }, r: { $ref: "Other" } },
    oneOf: [{ not: { required: ["a"] } }, { required: ["a"] }],
  });
});

test("comments are found in nested declarations, unions and maps", () => {
  const parsed = parseDeclaration(`
    /** A thing. */
    export interface IThing {
      /** The parts. */
      "parts"?: Array<({ /** One. */ "one"?: string; } | { /** Two. */ "two"?: { [key: string]: { /** Deep. */ "deep": number; }; }; })>;
      "plain": string;
    }
    export type { IThing as IIoThing, Thing as IoThing };`);
  const parts = parsed?.doc.fields?.get("parts");
  assert.equal(parsed?.alias, "IoThing");
  assert.equal(parsed?.doc.description, "A thing.");
  assert.equal(parts?.description, "The parts.");
  assert.equal(parts?.items?.fields?.get("one")?.description, "One.");
  assert.equal(parts?.items?.fields?.get("two")?.values?.fields?.get("deep")?.description, "Deep.");
  assert.ok(parsed?.doc.fields?.has("plain"));
});
