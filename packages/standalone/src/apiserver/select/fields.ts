// Which fields does a `fieldSelector` query ask for? (k8s.io/apimachinery/pkg/fields/selector.go)

import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";

export type FieldRequirement = { readonly field: string; readonly equal: boolean; readonly value: string };

/** Splits at unescapedd commas; the escapes are `\\`, `\,` and `\=`. */
const terms = (text: string): string[] => text.match(/(?:\\.|[^,\\])+/g) ?? [];

const unescaped = (text: string): string => text.replace(/\\(.)/g, "$1");

const TERM = /^((?:\\.|[^=!\\])+)(==|!=|=)((?:\\.|[^\\])*)$/;

/** The requirements of a selector text, all of which must hold; an empty text asks nothing. */
export const parseFieldSelector = (text: string): Result<readonly FieldRequirement[]> => {
  const out: FieldRequirement[] = [];
  for (const term of terms(text)) {
    const m = TERM.exec(term);
    if (m === null) return err(`invalid field selector: ${JSON.stringify(term)}; can't understand it`);
    out.push({ field: (m[1] ?? "").trim(), equal: m[2] !== "!=", value: unescaped(m[3] ?? "") });
  }
  return ok(out);
};

/** Do the object's selectable fields meet every requirement? A field the object lacks reads as "". */
export const matchesFields = (requirements: readonly FieldRequirement[], fields: { readonly [key: string]: string }): boolean =>
  requirements.every((r) => ((fields[r.field] ?? "") === r.value) === r.equal);
