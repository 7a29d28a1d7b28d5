// How is a component's next start made cheap? (Node's compile cache: no types to strip and nothing to parse)
//
// Stripping types loads a compiler into the process: 20 MB of resident memory and half a second that a start from the cache
// does not have. NODE_COMPILE_CACHE names its directory: an image's build fills it, a read-only one is good enough to run from.

import { flushCompileCache, getCompileCacheDir } from "node:module";

/** `main.ts prepare`: fill the cache and end. */
export const isPrepare = (argv: readonly string[]): boolean => argv[2] === "prepare";

/**
 * Loads what a start loads later, beside what is loaded already, and writes the cache. Throws a sentence when there is no
 * cache to write. What is loaded must not begin to work by being loaded.
 */
export const prepare = async (...later: readonly (() => Promise<unknown>)[]): Promise<void> => {
  if (getCompileCacheDir() === undefined)
    throw new Error("prepare fills the directory that NODE_COMPILE_CACHE names: it is not set, or cannot be made");
  for (const load of later) await load();
  flushCompileCache();
};
