// What do the published definitions of the built-in kinds say? (gen/ is written by scripts/generate-schemas.ts; read when first asked for)

import { existsSync, readFileSync } from "node:fs";

/** A definition as published: refs are `#/definitions/<name>`. */
export type Definition = { readonly [keyword: string]: unknown };

const files = new Map<string, { readonly [name: string]: Definition }>();

const load = (packageName: string): { readonly [name: string]: Definition } => {
  const known = files.get(packageName);
  if (known !== undefined) return known;
  const url = new URL(`./gen/${packageName}.json`, import.meta.url);
  const read: { readonly [name: string]: Definition } = existsSync(url) ? JSON.parse(readFileSync(url, "utf8")) : {};
  files.set(packageName, read);
  return read;
};

/** The definition named, such as `io.k8s.api.apps.v1.Deployment`. */
export const definition = (name: string): Definition | undefined => {
  const definitions = load(name.slice(0, name.lastIndexOf(".")));
  return Object.hasOwn(definitions, name) ? definitions[name] : undefined;
};

/** All definitions of one package, such as `io.k8s.api.apps.v1`. */
export const definitionsOf = (packageName: string): { readonly [name: string]: Definition } => load(packageName);
