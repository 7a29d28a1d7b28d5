// Is of an update exactly that read which is whole and rightly named?

import assert from "node:assert/strict";
import { test } from "node:test";
import { aService, aWorkload } from "../state/fixtures.ts";
import { encodeAddress } from "../wire/address.ts";
import { readAddresses } from "./read.ts";

const upsert = (name: string, value: Uint8Array) => ({ name, version: "1", value, aliases: [] });
const workload = aWorkload("a", "10.0.0.1");
const bytes = encodeAddress({ kind: "workload", workload });

test("what can be read is, and what cannot is named with its reason", () => {
  const update = {
    upserts: [
      upsert("ns/other", encodeAddress({ kind: "service", service: aService("s", "10.96.0.1") })),
      upsert("broken", Buffer.from("not protobuf")),
      upsert(workload.uid, bytes),
    ],
    removed: ["gone"],
  };
  const { read, rejected } = readAddresses(update);
  assert.deepEqual(read, [
    { kind: "remove-address", name: "gone" },
    { kind: "workload", workload },
  ]);
  assert.deepEqual(
    rejected.map((r) => r.name),
    ["ns/other", "broken"],
  );
  assert.equal(rejected[0]?.reason, 'the resource is named "ns/other" but describes "ns/s.ns.svc.cluster.local"');
});

test("nothing of a resource that ends too early is read", () => {
  const { read, rejected } = readAddresses({ upserts: [upsert(workload.uid, bytes.subarray(0, -1))], removed: [] });
  assert.deepEqual([read, rejected.length], [[], 1]);
});
