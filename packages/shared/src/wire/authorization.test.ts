// Is a policy that is not wholly understood refused?

import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_MATCH, type Match, type Policy } from "../authz/types.ts";
import { codecOf } from "../proto/schema.ts";
import { unwrap } from "../runtime/result.ts";
import { decodeAuthorization, encodeAuthorization } from "./authorization.ts";

const raw = codecOf<object>("istio.security.Authorization");
const policy = (match: object) => raw.encode({ name: "p", namespace: "ns", rules: [{ clauses: [{ matches: [match] }] }] });
const field = (number: number, payload: Uint8Array) => Buffer.concat([Buffer.from([(number << 3) | 2, payload.length]), payload]);
const nested = (...numbers: number[]) => numbers.reduceRight((inner, n) => field(n, inner), Buffer.from([0x78, 0x01]));

const refused: { name: string; bytes: Uint8Array; error: RegExp }[] = [
  { name: "no name", bytes: raw.encode({ namespace: "ns" }), error: /name is empty/ },
  {
    name: "an unknown scope",
    bytes: raw.encode({ name: "p", namespace: "ns", scope: 3 }),
    error: /policy ns\/p: scope: 3 is not a known value/,
  },
  { name: "an unknown action (AUDIT)", bytes: raw.encode({ name: "p", namespace: "ns", action: 2 }), error: /action: 2/ },
  {
    name: "an empty matcher",
    bytes: policy({ notPrincipals: [{}] }),
    error: /rules\[0\]: clauses\[0\]: matches\[0\]: not_principals\[0\]: match_type is empty/,
  },
  {
    name: "a block of 40 bits of IPv4",
    bytes: policy({ notSourceIps: [{ address: Uint8Array.of(1, 2, 3, 4), length: 40 }] }),
    error: /not_source_ips\[0\]: .*from 0 to 32/,
  },
  { name: "a block without an address", bytes: policy({ sourceIps: [{ length: 8 }] }), error: /source_ips\[0\]: .*not 0/ },
  {
    name: "a mapped block shorter than the mapping",
    bytes: policy({ sourceIps: [{ address: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 1, 2, 3, 4), length: 24 }] }),
    error: /must be at least 96/,
  },
  { name: "a port past 65535", bytes: policy({ notDestinationPorts: [65536] }), error: /not_destination_ports\[0\]: port: 65536/ },
  {
    name: "a service account without a namespace",
    bytes: policy({ serviceAccounts: [{ serviceAccount: "x" }] }),
    error: /namespace is empty/,
  },
  {
    name: "an extension on the policy",
    bytes: raw.encode({ name: "p", namespace: "ns", extensions: [{ name: "x" }] }),
    error: /extensions are not understood/,
  },
  { name: "an extension on a match", bytes: policy({ extensions: [{ name: "x" }] }), error: /extensions are not understood/ },
  {
    name: "an unknown field of the policy",
    bytes: Buffer.concat([field(1, Buffer.from("p")), nested()]),
    error: /Authorization has a field that is not understood \(number 15\)/,
  },
  {
    name: "an unknown field of a rule",
    bytes: Buffer.concat([field(1, Buffer.from("p")), nested(5)]),
    error: /Authorization\.rules\[0\] has a field .* \(number 15\)/,
  },
  {
    name: "an unknown field of a clause",
    bytes: Buffer.concat([field(1, Buffer.from("p")), nested(5, 1)]),
    error: /clauses\[0\] has a field/,
  },
  {
    name: "an unknown field of a match",
    bytes: Buffer.concat([field(1, Buffer.from("p")), nested(5, 1, 2)]),
    error: /matches\[0\] has a field/,
  },
  {
    name: "an unknown kind of string match",
    bytes: Buffer.concat([field(1, Buffer.from("p")), nested(5, 1, 2, 3)]),
    error: /principals\[0\] has a field/,
  },
  {
    name: "something inside presence",
    bytes: Buffer.concat([field(1, Buffer.from("p")), nested(5, 1, 2, 3, 4)]),
    error: /presence has a field/,
  },
  {
    name: "a known field of the wrong wire type",
    bytes: Buffer.concat([field(1, Buffer.from("p")), Buffer.from([0x10, 0x01])]),
    error: /number 2/,
  },
];

for (const c of refused) {
  test(`refused: ${c.name}`, () => {
    const r = decodeAuthorization(c.bytes);
    assert.equal(r.ok, false);
    assert.match(r.ok ? "" : r.error, c.error);
  });
}

test("a mapped IPv4 block is taken for the IPv4 block it is", () => {
  const p = unwrap(
    decodeAuthorization(
      policy({ sourceIps: [{ address: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 2, 3, 4), length: 104 }] }),
    ),
  );
  const [block] = p.rules[0]?.clauses[0]?.matches[0]?.sourceIps ?? [];
  assert.deepEqual([block?.ip, block?.bits], ["10.0.0.0", 8]);
});

const withMatch = (m: Partial<Match>): Policy => ({
  namespace: "ns",
  name: "p",
  scope: "NAMESPACE",
  action: "DENY",
  dryRun: false,
  rules: [{ clauses: [{ matches: [{ ...EMPTY_MATCH, ...m }] }] }],
});

for (const [name, m] of Object.entries({
  methods: { methods: [{ kind: "exact", value: "GET" }] },
  notPaths: { notPaths: [{ kind: "prefix", value: "/x" }] },
  headers: { headers: [{ name: "x", values: [], notValues: [] }] },
  template: { principals: [{ kind: "template", value: "{*}" }] },
} satisfies Record<string, Partial<Match>>)) {
  test(`not written: a policy with ${name}`, () => {
    const r = encodeAuthorization(withMatch(m));
    assert.match(r.ok ? "" : r.error, /policy ns\/p: .* is an HTTP attribute, which only a waypoint can enforce/);
  });
}

test("bytes are those of istio's schema", () => {
  const r = unwrap(encodeAuthorization(withMatch({ notPrincipals: [{ kind: "presence" }], destinationPorts: [80] })));
  assert.equal(Buffer.from(r).toString("hex"), "0a01701202" + "6e73" + "18012001" + "2a0b" + "0a09" + "1207" + "22022200" + "4a0150");
});
