// Do selector texts mean what Kubernetes' own parser takes them to mean?

import assert from "node:assert/strict";
import { test } from "node:test";
import { matchesRequirement } from "@ambit/shared/kube/selector.ts";
import { matchesFields, parseFieldSelector } from "./fields.ts";
import { parseLabelSelector } from "./labels.ts";

const LABELS = { app: "web", tier: "front", "example.com/size": "10", empty: "" };

const cases: readonly (readonly [string, boolean])[] = [
  ["", true],
  ["app=web", true],
  ["app==web", true],
  ["app = web", true],
  ["app=api", false],
  ["app!=api", true],
  ["absent!=x", true],
  ["app", true],
  ["!app", false],
  ["!absent", true],
  ["app in (web,api)", true],
  ["app in (api)", false],
  ["app notin (api, db)", true],
  ["absent notin (api)", true],
  ["absent in (api)", false],
  ["app=web,tier in (front,back),!absent", true],
  ["app=web,tier=back", false],
  ["example.com/size>9", true],
  ["example.com/size<9", false],
  ["empty=", true],
  ["empty in ()", true],
];
for (const [text, expected] of cases)
  test(`labels ${JSON.stringify(text)} → ${expected}`, () => {
    const r = parseLabelSelector(text);
    assert.ok(r.ok);
    assert.equal(
      r.value.every((q) => matchesRequirement(q, LABELS)),
      expected,
    );
  });

for (const text of ["a=b=c", "=x", "a in b", "a in (b", "-a", "a=b c", "a>x", ",", "a=b,", "a/b/c=d", "a=-x"])
  test(`labels ${JSON.stringify(text)} is refused`, () => assert.equal(parseLabelSelector(text).ok, false));

const fields = { "metadata.name": "a", "spec.nodeName": "", "status.phase": "Running,odd=1" };
const fieldCases: readonly (readonly [string, boolean])[] = [
  ["", true],
  ["metadata.name=a", true],
  ["metadata.name==a", true],
  ["metadata.name!=a", false],
  ["metadata.name=a,spec.nodeName=", true],
  ["spec.nodeName!=", false],
  ["status.phase=Running\\,odd\\=1", true],
  ["absent=", true],
];
for (const [text, expected] of fieldCases)
  test(`fields ${JSON.stringify(text)} → ${expected}`, () => {
    const r = parseFieldSelector(text);
    assert.ok(r.ok);
    assert.equal(matchesFields(r.value, fields), expected);
  });

for (const text of ["a", "=b", "a>b"])
  test(`fields ${JSON.stringify(text)} is refused`, () => assert.equal(parseFieldSelector(text).ok, false));
