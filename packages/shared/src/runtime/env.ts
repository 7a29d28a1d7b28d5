// How is the environment read: once, typed, with every mistake reported?

import { err, ok, type Result } from "./result.ts";

export type Parser<T> = (text: string) => Result<T>;

export type Env = {
  /** The variable, parsed; an error naming it when it is absent or wrong. */
  required<T>(name: string, parse: Parser<T>): Result<T>;
  /** The variable, parsed, or the fallback when it is absent or empty. */
  optional<T, F>(name: string, parse: Parser<T>, fallback: F): Result<T | F>;
  /** All variables whose name starts with the prefix, by the rest of the name. */
  prefixed(prefix: string): ReadonlyMap<string, string>;
};

/** Wraps a plain record of variables (`process.env` in main.ts, a literal in tests). */
export const envFrom = (vars: Readonly<Record<string, string | undefined>>): Env => {
  const parsed = <T>(name: string, text: string, parse: Parser<T>): Result<T> => {
    const r = parse(text);
    return r.ok ? r : err(`${name}=${JSON.stringify(text)}: ${r.error}`);
  };
  return {
    required: (name, parse) => {
      const text = vars[name];
      return text === undefined || text === "" ? err(`${name} is not set`) : parsed(name, text, parse);
    },
    optional: (name, parse, fallback) => {
      const text = vars[name];
      return text === undefined || text === "" ? ok(fallback) : parsed(name, text, parse);
    },
    prefixed: (prefix) =>
      new Map(Object.entries(vars).flatMap(([k, v]) => (k.startsWith(prefix) && v !== undefined ? [[k.slice(prefix.length), v]] : []))),
  };
};

export const text: Parser<string> = (s) => ok(s);

export const bool: Parser<boolean> = (s) =>
  s === "true" || s === "1" ? ok(true) : s === "false" || s === "0" ? ok(false) : err('want "true" or "false"');

/** A whole number within [min, max]. */
export const integer =
  (min: number, max: number): Parser<number> =>
  (s) => {
    const n = /^-?\d{1,15}$/.test(s) ? Number(s) : Number.NaN;
    return n >= min && n <= max ? ok(n) : err(`want a whole number from ${min} to ${max}`);
  };

export const port: Parser<number> = integer(0, 65535);

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** A Go-style duration ("10s", "1h30m", "250ms") in milliseconds. */
export const durationMs: Parser<number> = (s) => {
  const parts = [...s.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (s === "0") return ok(0);
  if (parts.length === 0 || parts.map((p) => p[0]).join("") !== s) return err('want a duration such as "10s" or "1h30m"');
  return ok(parts.reduce((sum, p) => sum + Number(p[1]) * UNIT_MS[p[2] as keyof typeof UNIT_MS], 0));
};

/** One of the given words. */
export const oneOf =
  <const W extends readonly string[]>(...words: W): Parser<W[number]> =>
  (s) =>
    words.includes(s) ? ok(s as W[number]) : err(`want one of ${words.join(", ")}`);
