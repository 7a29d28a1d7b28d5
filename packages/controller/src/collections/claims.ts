// Which output stands under a key that several inputs claim?

export type Claims<O> = {
  /** Replaces what the input claims; answers with the keys that may stand differently now. */
  replace(input: string, outputs: readonly O[]): Iterable<string>;
  /** The output of the input whose key sorts first, whatever the order of events. */
  winner(key: string): O | undefined;
};

export const createClaims = <O>(keyOf: (output: O) => string): Claims<O> => {
  const keysOf = new Map<string, readonly string[]>();
  const claims = new Map<string, Map<string, O>>();
  return {
    replace: (input, outputs) => {
      const touched = new Set(keysOf.get(input));
      for (const key of touched) {
        const claimants = claims.get(key);
        claimants?.delete(input);
        if (claimants?.size === 0) claims.delete(key);
      }
      const keys = outputs.map(keyOf);
      for (const [i, output] of outputs.entries()) {
        const key = keys[i] ?? "";
        touched.add(key);
        const claimants = claims.get(key) ?? new Map<string, O>();
        claims.set(key, claimants.set(input, output));
      }
      if (keys.length === 0) keysOf.delete(input);
      else keysOf.set(input, keys);
      return touched;
    },
    winner: (key) => {
      const claimants = claims.get(key);
      const [first] = [...(claimants?.keys() ?? [])].toSorted();
      return first === undefined ? undefined : claimants?.get(first);
    },
  };
};
