// Which rules beyond the schema does each built-in kind have?

import type { Strategy } from "../registry/types.ts";

const NONE: Strategy = {};

const STRATEGIES: { readonly [gvk: string]: Strategy } = {};

/** The rules of a kind; a kind without rules of its own is only stored. */
export const strategyOf = (apiVersion: string, kind: string): Strategy => STRATEGIES[`${apiVersion}/${kind}`] ?? NONE;
