// What is an object's JSON text? (made once per stored object: the log, lists and watches all send the same text)

import type { KubeObject } from "./object.ts";

const cache = new WeakMap<KubeObject, string>();

/** The text of an object that is never edited again. */
export const jsonOf = (object: KubeObject): string => {
  const have = cache.get(object);
  if (have !== undefined) return have;
  const made = JSON.stringify(object);
  cache.set(object, made);
  return made;
};
