// Which level does each scope log at, and how is that changed at run time?

import type { Parser } from "../runtime/env.ts";
import { err, ok, type Result } from "../runtime/result.ts";
import type { LogLevel } from "./log-line.ts";

export type Threshold = LogLevel | "off";
/** The default and the scopes that differ from it. A scope also covers "scope::part" and "scope/part". */
export type Levels = { readonly default: Threshold; readonly scopes: Readonly<Record<string, Threshold>> };

const RANK: Readonly<Record<Threshold, number>> = { debug: 0, info: 1, warn: 2, error: 3, off: 4 };

const isThreshold = (s: string): s is Threshold => Object.hasOwn(RANK, s);

/** True when an event of the level is written for the scope. */
export const enabled = (levels: Levels, scope: string, level: LogLevel): boolean => {
  const root = scope.split(/[:/]/, 1)[0] ?? scope;
  return RANK[level] >= RANK[levels.scopes[scope] ?? levels.scopes[root] ?? levels.default];
};

/** Reads "info" or "info,access=debug,xds=off", as RUST_LOG and `POST /logging?level=` write it; "trace" counts as debug. */
export const parseLevels = (text: string, base: Levels = { default: "info", scopes: {} }): Result<Levels> => {
  const scopes: Record<string, Threshold> = { ...base.scopes };
  let fallback = base.default;
  for (const part of text.split(",").map((p) => p.trim())) {
    const [left = "", right] = part.split("=");
    const word = (right ?? left).toLowerCase();
    const level = word === "trace" ? "debug" : word;
    if (!isThreshold(level)) return err(`${JSON.stringify(part)} is not a log level: want debug, info, warn, error or off, or scope=level`);
    if (right === undefined) fallback = level;
    else scopes[left] = level;
  }
  return ok({ default: fallback, scopes });
};

/** A variable that holds levels, kept as it is written: the logger reads it again. */
export const levelsText: Parser<string> = (text) => {
  const levels = parseLevels(text);
  return levels.ok ? ok(text) : levels;
};

/** The levels as `parseLevels` reads them. */
export const formatLevels = (levels: Levels): string =>
  [levels.default, ...Object.entries(levels.scopes).map(([scope, level]) => `${scope}=${level}`)].join(",");
