// Policy decisions, with the case names of ztunnel's rbac.rs where it has them.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseCidr } from "../addr/cidr.ts";
import { parseIp } from "../addr/ip.ts";
import { spiffeId } from "../identity/spiffe.ts";
import { unwrap } from "../runtime/result.ts";
import { authorize, explainPolicies } from "./authorize.ts";
import { matchTemplate, ruleMatches } from "./match.ts";
import { type AuthzSubject, EMPTY_MATCH, type HttpAttributes, type Match, type Policy, type Rule, type StringMatch } from "./types.ts";

const ip = (text: string) => unwrap(parseIp(text));
const cidr = (text: string) => unwrap(parseCidr(text));
const exact = (value: string): StringMatch => ({ kind: "exact", value });
const match = (m: Partial<Match>): Match => ({ ...EMPTY_MATCH, ...m });
const rule = (...clauses: Partial<Match>[][]): Rule => ({ clauses: clauses.map((c) => ({ matches: c.map(match) })) });
const policy = (name: string, action: "ALLOW" | "DENY", rules: Rule[], dryRun = false): Policy => ({
  namespace: "ns",
  name,
  scope: "NAMESPACE",
  action,
  dryRun,
  rules,
});
const web = spiffeId("td", "from", "web");
const plain: AuthzSubject = { identity: undefined, sourceIp: ip("10.0.0.1"), destinationIp: ip("10.0.0.2"), destinationPort: 80 };
const mtls: AuthzSubject = { ...plain, identity: web };
const http = (h: Partial<HttpAttributes>): AuthzSubject => ({
  ...mtls,
  http: { method: "GET", path: "/", host: "reviews", headers: {}, ...h },
});

type Case = { name: string; policies: Policy[]; subject: AuthzSubject; allowed: boolean; why?: string; missing?: string[] };
const strict = policy("strict", "DENY", [rule([{ notPrincipals: [{ kind: "presence" }] }])]);
const cases: Case[] = [
  { name: "no policy allows", policies: [], subject: plain, allowed: true, why: "no-allow-policies" },
  {
    name: "empty_policy: an ALLOW without rules denies everything",
    policies: [policy("p", "ALLOW", [])],
    subject: mtls,
    allowed: false,
    why: "no-allow-match",
  },
  { name: "a DENY without rules denies nothing", policies: [policy("p", "DENY", [])], subject: mtls, allowed: true },
  {
    name: "a rule without clauses matches all",
    policies: [policy("p", "ALLOW", [rule()])],
    subject: plain,
    allowed: true,
    why: "allow-policy",
  },
  { name: "a clause without matches is true", policies: [policy("p", "ALLOW", [rule([])])], subject: plain, allowed: true },
  { name: "an empty match in a list is no match", policies: [policy("p", "ALLOW", [rule([{}])])], subject: mtls, allowed: false },
  {
    name: "allow_policy: namespace",
    policies: [policy("p", "ALLOW", [rule([{ namespaces: [exact("from")] }])])],
    subject: mtls,
    allowed: true,
  },
  {
    name: "allow_policy: other namespace",
    policies: [policy("p", "ALLOW", [rule([{ namespaces: [exact("x")] }])])],
    subject: mtls,
    allowed: false,
  },
  {
    name: "allow_policy: plaintext has no namespace",
    policies: [policy("p", "ALLOW", [rule([{ namespaces: [{ kind: "presence" }] }])])],
    subject: plain,
    allowed: false,
  },
  { name: "static strict denies plaintext", policies: [strict], subject: plain, allowed: false, why: "deny-policy" },
  { name: "static strict lets mTLS pass", policies: [strict], subject: mtls, allowed: true },
  {
    name: "deny_allow: DENY wins",
    policies: [policy("a", "ALLOW", [rule()]), policy("d", "DENY", [rule([{ destinationPorts: [80] }])])],
    subject: mtls,
    allowed: false,
    why: "deny-policy",
  },
  { name: "dry_run: a DENY on trial does not deny", policies: [policy("d", "DENY", [rule()], true)], subject: mtls, allowed: true },
  {
    name: "dry_run: an ALLOW on trial does not turn default-deny on",
    policies: [policy("a", "ALLOW", [], true)],
    subject: mtls,
    allowed: true,
  },
  {
    name: "a policy that is named but not held denies",
    policies: [policy("a", "ALLOW", [rule()])],
    subject: mtls,
    allowed: false,
    why: "missing-policy",
    missing: ["ns/gone"],
  },
  {
    name: "multi_rule: OR over rules",
    policies: [policy("p", "ALLOW", [rule([{ destinationPorts: [1] }]), rule([{ destinationPorts: [80] }])])],
    subject: plain,
    allowed: true,
  },
  {
    name: "nesting: AND over clauses",
    policies: [policy("p", "ALLOW", [rule([{ destinationPorts: [80] }], [{ namespaces: [exact("x")] }])])],
    subject: mtls,
    allowed: false,
  },
  {
    name: "nesting: OR over matches",
    policies: [policy("p", "ALLOW", [rule([{ destinationPorts: [1] }, { namespaces: [exact("from")] }])])],
    subject: mtls,
    allowed: true,
  },
  {
    name: "nesting: AND over fields of one match",
    policies: [policy("p", "ALLOW", [rule([{ destinationPorts: [1], namespaces: [exact("from")] }])])],
    subject: mtls,
    allowed: false,
  },
  {
    name: "principal without its scheme",
    policies: [policy("p", "ALLOW", [rule([{ principals: [exact("td/ns/from/sa/web")] }])])],
    subject: mtls,
    allowed: true,
  },
  {
    name: "service account ignores the trust domain",
    policies: [policy("p", "ALLOW", [rule([{ serviceAccounts: [{ namespace: "from", serviceAccount: "web" }] }])])],
    subject: mtls,
    allowed: true,
  },
  { name: "source block", policies: [policy("p", "ALLOW", [rule([{ sourceIps: [cidr("10.0.0.0/24")] }])])], subject: plain, allowed: true },
  {
    name: "not-source block",
    policies: [policy("p", "ALLOW", [rule([{ notSourceIps: [cidr("10.0.0.0/24")] }])])],
    subject: plain,
    allowed: false,
  },
  { name: "methods", policies: [policy("p", "ALLOW", [rule([{ methods: [exact("GET")] }])])], subject: http({}), allowed: true },
  {
    name: "another method",
    policies: [policy("p", "ALLOW", [rule([{ methods: [exact("GET")] }])])],
    subject: http({ method: "DELETE" }),
    allowed: false,
  },
  {
    name: "hosts ignore case",
    policies: [policy("p", "ALLOW", [rule([{ hosts: [exact("ReViews")] }])])],
    subject: http({ host: "rEVIEWS" }),
    allowed: true,
  },
  {
    name: "a header that must be present",
    policies: [policy("p", "ALLOW", [rule([{ headers: [{ name: "x-a", values: [{ kind: "presence" }], notValues: [] }] }])])],
    subject: http({}),
    allowed: false,
  },
  {
    name: "a header value by prefix",
    policies: [policy("p", "ALLOW", [rule([{ headers: [{ name: "x-a", values: [{ kind: "prefix", value: "b" }], notValues: [] }] }])])],
    subject: http({ headers: { "x-a": "bc" } }),
    allowed: true,
  },
  {
    name: "a header that must not have a value",
    policies: [policy("d", "DENY", [rule([{ headers: [{ name: "x-a", values: [], notValues: [exact("ok")] }] }])])],
    subject: http({ headers: { "x-a": "ok" } }),
    allowed: true,
  },
  {
    name: "HTTP attributes asked of a TCP connection never allow",
    policies: [policy("p", "ALLOW", [rule([{ methods: [exact("GET")] }])])],
    subject: mtls,
    allowed: false,
  },
  {
    name: "a DENY by not-path holds for a TCP connection",
    policies: [policy("d", "DENY", [rule([{ notPaths: [exact("/ok")] }])])],
    subject: mtls,
    allowed: false,
  },
];
for (const c of cases)
  test(c.name, () => {
    const v = authorize({ policies: c.policies, missing: c.missing ?? [] }, c.subject);
    assert.equal(v.allowed, c.allowed, JSON.stringify(v));
    if (c.why !== undefined) assert.equal(v.why, c.why);
  });

// rbac.rs string_match: how a principal is compared, as a matcher and as its opposite.
const strings: [StringMatch, boolean][] = [
  [exact("td/ns/from/sa/web"), true],
  [exact("spiffe://td/ns/from/sa/web"), false],
  [exact("td/ns/from/sa/we"), false],
  [exact(""), false],
  [{ kind: "prefix", value: "td/ns/from/" }, true],
  [{ kind: "prefix", value: "ns/from/" }, false],
  [{ kind: "suffix", value: "/sa/web" }, true],
  [{ kind: "suffix", value: "/sa/we" }, false],
  [{ kind: "presence" }, true],
];
for (const [m, want] of strings)
  test(`string_match: ${m.kind} ${m.kind === "presence" ? "" : JSON.stringify(m.value)}`, () => {
    const allowed = (asks: Partial<Match>, subject: AuthzSubject) =>
      authorize({ policies: [policy("p", "ALLOW", [rule([asks])])], missing: [] }, subject).allowed;
    assert.equal(allowed({ principals: [m] }, mtls), want);
    assert.equal(allowed({ notPrincipals: [m] }, mtls), !want);
    assert.equal(allowed({ principals: [m] }, plain), false, "without an identity nothing positive holds");
    assert.equal(allowed({ notPrincipals: [m] }, plain), true, "and every negative one does");
  });

test("port-level strict as istiod converts it: plaintext is let in at the exempt ports alone", () => {
  const noIdentity = [{ notPrincipals: [{ kind: "presence" as const }] }];
  const converted = policy("converted_peer_authentication_p", "DENY", [
    rule(noIdentity, [{ notDestinationPorts: [80] }], [{ notDestinationPorts: [81] }]),
  ]);
  const at = (subject: AuthzSubject, destinationPort: number) =>
    authorize({ policies: [converted], missing: [] }, { ...subject, destinationPort }).allowed;
  assert.deepEqual(
    [80, 81, 82].map((p) => at(plain, p)),
    [true, true, false],
  );
  assert.deepEqual(
    [80, 81, 82].map((p) => at(mtls, p)),
    [true, true, true],
  );
});

const templates: [string, string, boolean][] = [
  ["/a/{*}/c", "/a/b/c", true],
  ["/a/{*}/c", "/a//c", false],
  ["/a/{*}", "/a/b/c", false],
  ["/a/{**}", "/a/b/c", true],
  ["/a/{**}", "/a", false],
  ["/{*}", "/", false],
  ["/a/{**}", "/b/c", false],
];
for (const [template, path, want] of templates)
  test(`template ${template} on ${path}`, () => assert.equal(matchTemplate(template, path), want));

test("explainPolicies names the rule of each policy, dry-run ones too", () => {
  const set = { policies: [strict, policy("trial", "DENY", [rule([{ destinationPorts: [1] }]), rule()], true)], missing: [] };
  assert.deepEqual(
    explainPolicies(set, mtls).map((f) => [f.policy, f.rule, f.dryRun]),
    [
      ["ns/strict", undefined, false],
      ["ns/trial", 1, true],
    ],
  );
});

test("adding a DENY policy never lets anything pass", () => {
  const arbMatch = fc
    .record({ namespaces: fc.constantFrom([], [exact("from")]), destinationPorts: fc.constantFrom<number[]>([], [80], [81]) })
    .map(match);
  const arbRule: fc.Arbitrary<Rule> = fc
    .array(
      fc.array(arbMatch, { maxLength: 2 }).map((matches) => ({ matches })),
      { maxLength: 2 },
    )
    .map((clauses) => ({ clauses }));
  const arbPolicy = fc
    .tuple(fc.constantFrom("ALLOW" as const, "DENY" as const), fc.array(arbRule, { maxLength: 2 }))
    .map(([a, r]) => policy("p", a, r));
  fc.assert(
    fc.property(
      fc.array(arbPolicy, { maxLength: 4 }),
      fc.array(arbRule, { maxLength: 2 }),
      fc.constantFrom(plain, mtls),
      (base, rules, s) => {
        const before = authorize({ policies: base, missing: [] }, s).allowed;
        const after = authorize({ policies: [...base, policy("extra", "DENY", rules)], missing: [] }, s).allowed;
        assert.ok(before || !after);
        assert.equal(after, before && !rules.some((r) => ruleMatches(r, s)));
      },
    ),
  );
});
