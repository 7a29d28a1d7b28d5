// How are records found by a key that nearly always names one of them, but may name several?

/** Records by key. A key's only record is kept as itself: a list for each of ten thousand keys would weigh more than the keys. */
export type IndexMap<K, V extends object> = {
  /** In the order in which they were added. */
  get(key: K): readonly V[];
  add(key: K, value: V): void;
  /** Drops the key with its last record. */
  remove(key: K, value: V): void;
  readonly size: number;
};

const NONE: readonly never[] = Object.freeze([]);

/** Records themselves are never arrays: that is how one is told from several. */
export const createIndexMap = <K, V extends object>(): IndexMap<K, V> => {
  const held = new Map<K, V | V[]>();
  return {
    get: (key) => {
      const found = held.get(key);
      return found === undefined ? NONE : Array.isArray(found) ? found : [found];
    },
    add: (key, value) => {
      const found = held.get(key);
      if (found === undefined) held.set(key, value);
      // A new list: whoever holds the old one goes on seeing what it was.
      else held.set(key, Array.isArray(found) ? [...found, value] : [found, value]);
    },
    remove: (key, value) => {
      const found = held.get(key);
      if (found === value) held.delete(key);
      else if (Array.isArray(found)) {
        const rest = found.filter((v) => v !== value);
        const [only] = rest;
        if (only === undefined) held.delete(key);
        else held.set(key, rest.length === 1 ? only : rest);
      }
    },
    get size() {
      return held.size;
    },
  };
};
