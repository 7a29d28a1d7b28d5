// What does a printer column's JSONPath find in an object? (the part of kubectl's JSONPath that columns and scale paths use)

import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";
import { isObject } from "../model/object.ts";

type Step =
  | { readonly kind: "field"; readonly name: string }
  | { readonly kind: "index"; readonly index: number }
  | { readonly kind: "all" }
  | { readonly kind: "filter"; readonly path: readonly Step[]; readonly operator: string | undefined; readonly operand: unknown };

const FIELD = /^\.?((?:\\.|[^.[\]\\])+)/;
const QUOTED = /^\[(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\]/;
const INDEX = /^\[(-?\d+)\]/;
const ALL = /^(?:\[\*\]|\.\*)/;
const FILTER = /^\[\?\(@((?:[^()"']|"[^"]*"|'[^']*')*?)(?:\s*(==|!=|<=|>=|<|>)\s*("[^"]*"|'[^']*'|[^)\s]+)\s*)?\)\]/;

const operandOf = (text: string): unknown => {
  if (/^["'].*["']$/.test(text)) return text.slice(1, -1);
  if (text === "true" || text === "false") return text === "true";
  return Number.isNaN(Number(text)) ? text : Number(text);
};

/** `.status.conditions[?(@.type=="Ready")].status`, with or without enclosing braces, to its steps. */
export const parseJsonPath = (path: string): Result<readonly Step[]> => {
  let rest = path.trim().replace(/^\{(.*)\}$/, "$1");
  const steps: Step[] = [];
  while (rest !== "" && rest !== ".") {
    const all = ALL.exec(rest);
    const quoted = QUOTED.exec(rest);
    const index = INDEX.exec(rest);
    const filter = FILTER.exec(rest);
    const field = FIELD.exec(rest);
    const found = all ?? quoted ?? index ?? filter ?? field;
    if (found === null) return err(`"${path}" is no JSONPath that this server reads`);
    if (found === all) steps.push({ kind: "all" });
    else if (found === quoted) steps.push({ kind: "field", name: quoted?.[1] ?? quoted?.[2] ?? "" });
    else if (found === index) steps.push({ kind: "index", index: Number(index?.[1]) });
    else if (found === filter) {
      const inner = parseJsonPath(filter?.[1]?.trim() ?? "");
      if (!inner.ok) return inner;
      steps.push({ kind: "filter", path: inner.value, operator: filter?.[2], operand: operandOf(filter?.[3] ?? "") });
    } else steps.push({ kind: "field", name: (field?.[1] ?? "").replaceAll(/\\(.)/g, "$1") });
    rest = rest.slice(found[0].length);
  }
  return ok(steps);
};

const holds = (value: unknown, step: Extract<Step, { kind: "filter" }>): boolean => {
  const [found] = follow([value], step.path);
  switch (step.operator) {
    case undefined:
      return found !== undefined;
    case "==":
      return found === step.operand;
    case "!=":
      return found !== step.operand;
    default:
      return typeof found === "number" && typeof step.operand === "number" && compares(found, step.operator, step.operand);
  }
};

const compares = (a: number, operator: string, b: number): boolean => {
  if (operator === "<") return a < b;
  if (operator === "<=") return a <= b;
  return operator === ">" ? a > b : a >= b;
};

const values = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : isObject(value) ? Object.values(value) : []);

const take = (value: unknown, step: Step): readonly unknown[] => {
  switch (step.kind) {
    case "field":
      return isObject(value) && Object.hasOwn(value, step.name) ? [value[step.name]] : [];
    case "index": {
      const item: unknown = Array.isArray(value) ? value.at(step.index) : undefined;
      return item === undefined ? [] : [item];
    }
    case "all":
      return values(value);
    case "filter":
      return values(value).filter((item) => holds(item, step));
  }
};

const follow = (from: readonly unknown[], steps: readonly Step[]): readonly unknown[] =>
  steps.reduce<readonly unknown[]>((found, step) => found.flatMap((value) => take(value, step)), from);

/** All values that the path finds, in order. */
export const findJsonPath = (value: unknown, steps: readonly Step[]): readonly unknown[] => follow([value], steps);
