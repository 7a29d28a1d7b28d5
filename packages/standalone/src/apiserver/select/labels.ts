// Which labels does a `labelSelector` query ask for? (k8s.io/apimachinery/pkg/labels/selector.go)

import type { LabelSelectorRequirement } from "@ambit/shared/kube/objects/meta.ts";
import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";

export type Requirements = readonly LabelSelectorRequirement[];

const NAME = /^(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const VALUE = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/;

/** Splits at commas that stand outside parentheses. */
const terms = (text: string): string[] => {
  const out: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === "(") depth++;
    else if (c === ")") depth--;
    else if (c === "," && depth === 0) {
      out.push(text.slice(start, i));
      start = i + 1;
    }
  }
  out.push(text.slice(start));
  return out.map((t) => t.trim());
};

const SET = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/;
const COMPARE = /^([^=!<>\s]+)\s*(==|=|!=|>|<)\s*(\S*)$/;

const requirement = (term: string): LabelSelectorRequirement | undefined => {
  const set = SET.exec(term);
  if (set !== null) {
    const values = (set[3] ?? "").split(",").map((v) => v.trim());
    return { key: set[1] ?? "", operator: set[2] === "in" ? "In" : "NotIn", values };
  }
  const compare = COMPARE.exec(term);
  if (compare !== null) {
    const [, key = "", operator, value = ""] = compare;
    if (operator === ">" || operator === "<") return { key, operator: operator === ">" ? "Gt" : "Lt", values: [value] };
    return { key, operator: operator === "!=" ? "NotIn" : "In", values: [value] };
  }
  if (term.startsWith("!")) return { key: term.slice(1).trim(), operator: "DoesNotExist" };
  return { key: term, operator: "Exists" };
};

/** The requirements of a selector text, all of which must hold; an empty text asks nothing. */
export const parseLabelSelector = (text: string): Result<Requirements> => {
  if (text.trim() === "") return ok([]);
  const out: LabelSelectorRequirement[] = [];
  for (const term of terms(text)) {
    const r = requirement(term);
    const numeric = r?.operator === "Gt" || r?.operator === "Lt";
    if (r === undefined || !NAME.test(r.key) || !(r.values ?? []).every((v) => (numeric ? /^-?\d+$/.test(v) : VALUE.test(v))))
      return err(`unable to parse requirement: ${JSON.stringify(term)} is not a valid label selector requirement`);
    out.push(r);
  }
  return ok(out);
};
