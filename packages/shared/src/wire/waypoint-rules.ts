// How do Ambit's own rules about a service's waypoint travel in Istio's message, so that others pass them over? (Service.extensions)

import { allOf, err, mapOk, ok, type Result } from "../runtime/result.ts";
import type { WaypointRules } from "../state/types.ts";
import { at, names } from "./read.ts";
import { readTable, table } from "./table.ts";

export type WireExtension = { name: string; config?: { typeUrl: string; value: Uint8Array } | null };

const NAME = "ambit.dev/waypoint";
const TYPE_URL = "type.googleapis.com/ambit.waypoint.v1.WaypointRules";

type WireRules = { required: boolean; missing: string; uncaptured: number };
const RULES = table("WaypointRules", { 1: ["required", "bool"], 2: ["missing", "string"], 3: ["uncaptured", "int32"] });

const uncaptured = names<WaypointRules["uncaptured"]>("allow", "refuse", "hairpin");

const varint = (n: number): number[] => (n < 0x80 ? [n] : [(n & 0x7f) | 0x80, ...varint(n >>> 7)]);

/** By hand: whoever reads addresses shares this file, and must not load a protobuf library for three fields. */
const encode = (r: WaypointRules): Uint8Array => {
  const missing = Buffer.from(r.missing);
  return Buffer.concat([
    Uint8Array.from(r.required ? [0x08, 1] : []),
    Uint8Array.from(missing.length > 0 ? [0x12, ...varint(missing.length)] : []),
    missing,
    Uint8Array.from(r.uncaptured === "allow" ? [] : [0x18, uncaptured.write(r.uncaptured)]),
  ]);
};

export const writeWaypointRules = (rules: WaypointRules | undefined): WireExtension[] =>
  rules === undefined
    ? []
    : [
        {
          name: NAME,
          config: { typeUrl: TYPE_URL, value: encode(rules) },
        },
      ];

const readRules = (config: WireExtension["config"]): Result<WaypointRules> => {
  if (config === null || config === undefined || config.typeUrl !== TYPE_URL) return err(`its type is not ${TYPE_URL}`);
  const m = readTable<WireRules>(RULES, config.value);
  if (!m.ok) return m;
  const { required, missing } = m.value;
  return mapOk(allOf({ uncaptured: uncaptured.read("uncaptured", m.value.uncaptured) }), (v) => ({ required, missing, ...v }));
};

/** The rules, or none; extensions of others are passed over. Ours must be readable: what it asks for is never left out. */
export const readWaypointRules = (extensions: readonly WireExtension[]): Result<WaypointRules | undefined> => {
  const own = extensions.find((e) => e.name === NAME);
  return own === undefined ? ok(undefined) : at(`extension ${NAME}`, readRules(own.config));
};
