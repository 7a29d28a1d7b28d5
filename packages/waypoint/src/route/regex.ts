// Does a pattern that a user wrote match a whole text? (RE2: linear time, whatever the pattern)

import { RE2JS } from "re2js";

export type FullMatch = (text: string) => boolean;

/** Patterns are compiled once each; a pattern that does not compile matches nothing. `keep` drops those no longer in use. */
export type Patterns = { matcher(pattern: string): FullMatch; keep(inUse: ReadonlySet<string>): void };

const NEVER: FullMatch = () => false;

const compile = (pattern: string): FullMatch => {
  try {
    const compiled = RE2JS.compile(pattern);
    return (text) => compiled.matcher(text).matches();
  } catch {
    // The controller refuses such a route; one that comes here all the same must not match by accident.
    return NEVER;
  }
};

export const createPatterns = (): Patterns => {
  const compiled = new Map<string, FullMatch>();
  return {
    matcher: (pattern) => {
      const known = compiled.get(pattern);
      if (known !== undefined) return known;
      const fresh = compile(pattern);
      compiled.set(pattern, fresh);
      return fresh;
    },
    keep: (inUse) => {
      for (const pattern of compiled.keys()) if (!inUse.has(pattern)) compiled.delete(pattern);
    },
  };
};
