// SOCKS 5 octet by octet.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readGreeting, readRequest } from "./parse.ts";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");
const domain = (name: string, port = "0050"): Buffer =>
  Buffer.concat([hex("05010003"), Buffer.from([name.length]), Buffer.from(name), hex(port)]);

const greetings: readonly [string, string, object][] = [
  ["nothing yet", "", { kind: "more" }],
  ["half", "05 02 00", { kind: "more" }],
  ["without authentication", "05 01 00", { kind: "greeting", withoutAuthentication: true, used: 3 }],
  ["one of several, and more after it", "05 02 02 00 ff", { kind: "greeting", withoutAuthentication: true, used: 4 }],
  ["only with a password", "05 01 02", { kind: "greeting", withoutAuthentication: false, used: 3 }],
  ["no method at all", "05 00", { kind: "greeting", withoutAuthentication: false, used: 2 }],
  ["SOCKS 4", "04 01", { kind: "bad", detail: "version 4 is not SOCKS 5" }],
];
for (const [name, bytes, expect] of greetings) test(`greeting: ${name}`, () => assert.deepEqual(readGreeting(hex(bytes)), expect));

const requests: readonly [string, Buffer, object][] = [
  ["nothing yet", hex("05 01 00"), { kind: "more" }],
  ["IPv4", hex("05 01 00 01 0a000001 0050"), { kind: "connect", host: { kind: "ip", ip: "10.0.0.1" }, port: 80, used: 10 }],
  ["IPv4, cut off", hex("05 01 00 01 0a0000"), { kind: "more" }],
  [
    "IPv6",
    hex("05 01 00 04 fd000000000000000000000000000001 01bb"),
    { kind: "connect", host: { kind: "ip", ip: "fd00::1" }, port: 443, used: 22 },
  ],
  ["domain", domain("Web.Shop"), { kind: "connect", host: { kind: "domain", name: "web.shop" }, port: 80, used: 15 }],
  ["domain, its length not there", hex("05 01 00 03"), { kind: "more" }],
  ["domain, cut off", domain("web.shop").subarray(0, 9), { kind: "more" }],
  ["domain of nothing", domain(""), { kind: "bad", code: 8, detail: "the domain is not a host's name" }],
  ["domain with a line break", domain("a\r\nb"), { kind: "bad", code: 8, detail: "the domain is not a host's name" }],
  ["BIND", hex("05 02 00 01 0a000001 0050"), { kind: "bad", code: 7, detail: "command 2 is not CONNECT" }],
  ["UDP ASSOCIATE", hex("05 03 00 01 0a000001 0050"), { kind: "bad", code: 7, detail: "command 3 is not CONNECT" }],
  ["an unknown address type", hex("05 01 00 09 00"), { kind: "bad", code: 8, detail: "address type 9 is not known" }],
  ["another version", hex("04 01 00 01"), { kind: "bad", code: 1, detail: "version 4 is not SOCKS 5" }],
];
for (const [name, bytes, expect] of requests) test(`request: ${name}`, () => assert.deepEqual(readRequest(bytes), expect));

test("whatever comes, a reader says more, bad, or how much it has read", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (raw) => {
      const bytes = Buffer.from(raw);
      for (const r of [readGreeting(bytes), readRequest(bytes)]) if ("used" in r) assert.ok(r.used <= bytes.length && r.used > 0);
    }),
  );
});
