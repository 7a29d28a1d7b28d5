// Which labels does a selector select?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { LabelSelector } from "./objects/meta.ts";
import { matchesSelector, selectorText } from "./selector.ts";

const labels = { app: "web", tier: "front", weight: "7", constructor_: "x" };
const req = (key: string, operator: string, values?: string[]): LabelSelector => ({
  matchExpressions: [{ key, operator: operator as "In", ...(values === undefined ? {} : { values }) }],
});

const cases: readonly (readonly [string, LabelSelector | undefined, boolean, string?])[] = [
  ["absent selects nothing", undefined, false],
  ["empty selects everything", {}, true, ""],
  ["all pairs", { matchLabels: { app: "web", tier: "front" } }, true, "app=web,tier=front"],
  ["one pair differs", { matchLabels: { app: "web", tier: "back" } }, false],
  ["an inherited key is no label", { matchLabels: { constructor: "x" } }, false],
  ["In", req("app", "In", ["api", "web"]), true, "app in (api,web)"],
  ["In, absent key", req("zone", "In", ["a"]), false],
  ["NotIn", req("app", "NotIn", ["api"]), true, "app notin (api)"],
  ["NotIn, absent key", req("zone", "NotIn", ["a"]), true],
  ["NotIn, present", req("app", "NotIn", ["web"]), false],
  ["Exists", req("tier", "Exists"), true, "tier"],
  ["Exists, inherited", req("toString", "Exists"), false],
  ["DoesNotExist", req("zone", "DoesNotExist"), true, "!zone"],
  ["Gt", req("weight", "Gt", ["6"]), true, "weight>6"],
  ["Gt, equal", req("weight", "Gt", ["7"]), false],
  ["Lt", req("weight", "Lt", ["8"]), true, "weight<8"],
  ["Lt, not a number", req("app", "Lt", ["8"]), false],
  ["an operator we do not know", req("app", "Like", ["web"]), false],
];
for (const [name, selector, expected, text] of cases)
  test(name, () => {
    assert.equal(matchesSelector(selector, labels), expected);
    if (selector !== undefined && text !== undefined) assert.equal(selectorText(selector), text);
  });
