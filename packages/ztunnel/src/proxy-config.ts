// What do PROXY_CONFIG and the mesh's file say, as the variables that they stand for? (ambient-l4 section 1.2)

import { type Env, envFrom } from "@ambit/shared/runtime/env.ts";
import { allOf, err, mapOk, ok, type Result } from "@ambit/shared/runtime/result.ts";
import { parse } from "yaml";
import { CONCURRENCY, MESH_CONFIG_PATH } from "./config.ts";

export type Vars = Readonly<Record<string, string | undefined>>;

type Fields = Readonly<Record<string, unknown>>;

const fieldsOf = (value: unknown, what: string): Result<Fields> => {
  if (value === null || value === undefined) return ok({});
  return typeof value === "object" && !Array.isArray(value) ? ok(value as Fields) : err(`${what} is not a mapping`);
};

const yamlOf = (text: string | undefined, what: string): Result<Fields> => {
  if (text === undefined || text.trim() === "") return ok({});
  try {
    return fieldsOf(parse(text), what);
  } catch (e) {
    return err(`${what} is not YAML: ${(e instanceof Error ? e.message : String(e)).split("\n")[0]}`);
  }
};

const word = (fields: Fields, name: string, what: string): Result<string | undefined> => {
  const value = fields[name];
  if (value === undefined || value === null) return ok(undefined);
  return typeof value === "string" ? ok(value) : err(`${what}: ${name} is not a text`);
};

const count = (fields: Fields, name: string, what: string): Result<string | undefined> => {
  const value = fields[name];
  if (value === undefined || value === null) return ok(undefined);
  return typeof value === "number" && Number.isInteger(value) && value >= 0
    ? ok(String(value))
    : err(`${what}: ${name} is not a whole number`);
};

const metadata = (fields: Fields, what: string): Result<Vars> => {
  const given = fieldsOf(fields.proxyMetadata, `${what}: proxyMetadata`);
  if (!given.ok) return given;
  const bad = Object.entries(given.value).find(([, v]) => !["string", "number", "boolean"].includes(typeof v));
  return bad === undefined
    ? ok(Object.fromEntries(Object.entries(given.value).map(([k, v]) => [k, String(v)])))
    : err(`${what}: proxyMetadata.${bad[0]} is not a text`);
};

/** Of all that a ProxyConfig may hold, what a ztunnel heeds; the rest is other proxies'. */
const varsOf = (fields: Fields, what: string): Result<Vars> =>
  mapOk(
    allOf({
      address: word(fields, "discoveryAddress", what),
      admin: count(fields, "proxyAdminPort", what),
      stats: count(fields, "statsPort", what),
      concurrency: count(fields, "concurrency", what),
      metadata: metadata(fields, what),
    }),
    (v) => ({
      ...v.metadata,
      XDS_ADDRESS: v.address,
      CA_ADDRESS: v.address,
      ADMIN_PORT: v.admin,
      STATS_PORT: v.stats,
      [CONCURRENCY]: v.concurrency,
    }),
  );

const set = (vars: Vars): Vars => Object.fromEntries(Object.entries(vars).filter(([, v]) => v !== undefined && v !== ""));

/** The environment with what the two say where it says nothing: a variable is stronger than PROXY_CONFIG, and that than the mesh's file. */
export const withProxyConfig = (vars: Vars, meshFile: string | undefined): Result<Env> => {
  const mesh = yamlOf(meshFile, MESH_CONFIG_PATH);
  const defaults = mesh.ok ? fieldsOf(mesh.value.defaultConfig, `${MESH_CONFIG_PATH}: defaultConfig`) : mesh;
  const own = yamlOf(vars.PROXY_CONFIG, "PROXY_CONFIG");
  const both = allOf({
    mesh: defaults.ok ? varsOf(defaults.value, `${MESH_CONFIG_PATH}: defaultConfig`) : defaults,
    own: own.ok ? varsOf(own.value, "PROXY_CONFIG") : own,
  });
  return mapOk(both, (v) => envFrom({ ...set(v.mesh), ...set(v.own), ...set(vars) }));
};
