// Which CONNECT targets are read, and as what?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { unwrap } from "../runtime/result.ts";
import { anyIp } from "../wire/arbitrary.ts";
import { type Authority, formatAuthority, parseAuthority } from "./authority.ts";

const read: Record<string, string> = {
  "10.0.0.1:80": "address 10.0.0.1 80",
  "[fd00::1]:15008": "address fd00::1 15008",
  "[::ffff:10.0.0.1]:80": "address 10.0.0.1 80",
  "a.ns.svc.cluster.local:8080": "hostname a.ns.svc.cluster.local 8080",
  "A.Example:1": "hostname a.example 1",
  "x_y:65535": "hostname x_y 65535",
};
for (const [text, want] of Object.entries(read)) {
  test(`read: ${text}`, () => {
    const a = unwrap(parseAuthority(text));
    assert.equal(`${a.kind} ${a.kind === "address" ? a.ip : a.hostname} ${a.port}`, want);
  });
}

const refused = [
  "",
  ":80",
  "a",
  "a:",
  "a:0",
  "a:65536",
  "a:080",
  "a:+80",
  "a:80 ",
  " a:80",
  "10.0.0.256:80",
  "10.1:80",
  "010.0.0.1:80",
  "0x7f.1:80",
  "fd00::1:80",
  "[fd00::1]",
  "[fd00::1%eth0]:80",
  "[10.0.0.1]:80x",
  "[a]:80",
  "a..b:80",
  "-a:80",
  "a/b:80",
  "http://a:80",
  "u@a:80",
  "a:80:80",
  `${"a".repeat(64)}:80`,
  `${"a.".repeat(140)}a:80`,
  "ä:80",
  "a:80\n",
  "a:８０",
];
for (const text of refused) test(`refused: ${JSON.stringify(text.slice(0, 40))}`, () => assert.equal(parseAuthority(text).ok, false));

test("what is printed is read back", () => {
  const any: fc.Arbitrary<Authority> = fc.oneof(
    fc.record({ kind: fc.constant("address" as const), ip: anyIp, port: fc.integer({ min: 1, max: 65535 }) }, { noNullPrototype: true }),
    fc.record(
      { kind: fc.constant("hostname" as const), hostname: fc.domain(), port: fc.integer({ min: 1, max: 65535 }) },
      { noNullPrototype: true },
    ),
  );
  fc.assert(fc.property(any, (a) => assert.deepEqual(parseAuthority(formatAuthority(a)), { ok: true, value: a })));
});

test("no text makes it throw", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (s) => assert.equal(typeof parseAuthority(s).ok, "boolean")));
});
