// Addresses, blocks and socket addresses: canonical forms, and agreement with a plain bit-by-bit oracle.
import assert from "node:assert/strict";
import { isIP } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { unwrap } from "../runtime/result.ts";
import { cidrContains, cidrOf, formatCidr, parseCidr } from "./cidr.ts";
import { type Ip, ipBytes, ipFromBytes, isLoopback, parseIp } from "./ip.ts";
import { formatSocketAddr, parseHostPort, parsePort, parseSocketAddr } from "./socket.ts";

const canonical: [string, string | undefined][] = [
  ["10.0.0.1", "10.0.0.1"],
  ["010.0.0.1", undefined],
  ["256.0.0.1", undefined],
  ["1.2.3", undefined],
  ["::", "::"],
  ["::1", "::1"],
  ["FD00:0:0:0:0:0:0:1", "fd00::1"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
  ["::ffff:10.0.0.1", "10.0.0.1"],
  ["::ffff:a00:1", "10.0.0.1"],
  ["64:ff9b::1.2.3.4", "64:ff9b::102:304"],
  ["1::2::3", undefined],
  ["1:2:3:4:5:6:7", undefined],
  ["1:2:3:4:5:6:7:8:9", undefined],
  ["1.2.3.4::", undefined],
  ["fe80::1%eth0", undefined],
  ["", undefined],
  [":", undefined],
  ["12345::", undefined],
];
for (const [text, want] of canonical)
  test(`parseIp ${JSON.stringify(text)}`, () => {
    const r = parseIp(text);
    assert.equal(r.ok ? r.value : undefined, want);
  });

test("bytes and text round-trip", () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 })), (bytes) => {
      const ip = unwrap(ipFromBytes(bytes));
      assert.notEqual(isIP(ip), 0, ip);
      assert.equal(unwrap(parseIp(ip)), ip);
      if (bytes.length === 4 || ip.includes(":")) assert.deepEqual(ipBytes(ip), Uint8Array.from(bytes));
    }),
  );
});

test("parseIp agrees with node:net on arbitrary text", () => {
  const piece = fc.constantFrom("0", "1", "ff", "abcd", ":", "::", ".", "10", "255", "256", "g");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (parts) => {
      const text = parts.join("");
      assert.equal(parseIp(text).ok, isIP(text) !== 0, text);
    }),
    { numRuns: 2000 },
  );
});

const bitsOf = (ip: Ip): string => Array.from(ipBytes(ip), (b) => b.toString(2).padStart(8, "0")).join("");
test("cidrContains is equality of the first bits", () => {
  const v4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
  fc.assert(
    fc.property(v4, v4, fc.integer({ min: 0, max: 32 }), fc.boolean(), (a, b, bits, near) => {
      const base = unwrap(ipFromBytes(a));
      const other = unwrap(ipFromBytes(near ? Uint8Array.of(a[0] ?? 0, a[1] ?? 0, b[2] ?? 0, b[3] ?? 0) : b));
      assert.equal(cidrContains(unwrap(cidrOf(base, bits)), other), bitsOf(base).slice(0, bits) === bitsOf(other).slice(0, bits));
    }),
  );
});

test("blocks: families do not mix, lengths are checked, host bits are cleared", () => {
  assert.equal(cidrContains(unwrap(parseCidr("0.0.0.0/0")), unwrap(parseIp("::1"))), false);
  assert.equal(parseCidr("10.0.0.0/33").ok, false);
  assert.equal(parseCidr("10.0.0.0/").ok, false);
  assert.equal(parseCidr("10.0.0.0/-1").ok, false);
  assert.equal(formatCidr(unwrap(parseCidr("10.1.2.3/8"))), "10.0.0.0/8");
  assert.equal(formatCidr(unwrap(parseCidr("fd00::1"))), "fd00::1/128");
  assert.equal(cidrContains(unwrap(parseCidr("fd00::/9")), unwrap(parseIp("fd7f::1"))), true);
});

test("socket addresses", () => {
  assert.equal(formatSocketAddr(unwrap(parseSocketAddr("[::1]:80"))), "[::1]:80");
  assert.equal(formatSocketAddr(unwrap(parseSocketAddr("10.0.0.1:65535"))), "10.0.0.1:65535");
  for (const bad of ["10.0.0.1", "10.0.0.1:0", "10.0.0.1:65536", "::1:80", "[::1]", "[x]:80", "10.0.0.1:080", ":80", "a:b:80", "host:+80"])
    assert.equal(parseSocketAddr(bad).ok, false, bad);
  assert.deepEqual(unwrap(parseHostPort("a.b.svc:80")), { host: "a.b.svc", port: 80 });
  assert.equal(parsePort("65536").ok, false);
  assert.equal(isLoopback(unwrap(parseIp("127.9.9.9"))), true);
});
