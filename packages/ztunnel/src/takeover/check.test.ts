// Which sockets are refused, and why?

import assert from "node:assert/strict";
import { test } from "node:test";
import { objection, placeOf } from "./check.ts";

const here = { dev: 4n, ino: 1n };
const facts = { takes: "tcp", ip: "::", port: 15001, netns: here } as const;

for (const c of [
  { name: "a listening TCP socket of the pod", facts, want: undefined },
  { name: "a bound UDP socket of the pod", facts: { ...facts, takes: "udp", port: 15053 }, want: undefined },
  { name: "a connection", facts: { ...facts, takes: "nothing" }, want: "it does not listen" },
  { name: "an unbound socket", facts: { ...facts, takes: "udp", port: 0 }, want: "it is not bound to a port" },
  { name: "another pod's", facts: { ...facts, netns: { dev: 4n, ino: 2n } }, want: "it belongs to another network namespace" },
] as const)
  test(`${c.name}: ${c.want ?? "taken"}`, () => assert.equal(objection(c.facts, here), c.want));

test("an address is one of those that we listen on, or none of ours", () => {
  const ips = ["0.0.0.0", "::", "127.0.0.1", "::1", "10.0.0.1", "127.0.0.2"];
  assert.deepEqual(ips.map(placeOf), ["any", "any", "127.0.0.1", "::1", "elsewhere", "elsewhere"]);
});
