// What Ambit's agent says beyond Istio's: unseen by those who do not know it, and never at the price of the pod itself.
import assert from "node:assert/strict";
import { test } from "node:test";
import protobuf from "protobufjs";
import { unwrap } from "../runtime/result.ts";
import { ip } from "../state/fixtures.ts";
import type { ZdsRequest } from "./types.ts";
import { decodeZdsHello, decodeZdsRequest, encodeZdsHello, encodeZdsRequest } from "./zds.ts";

const WHO = { name: "db-0", namespace: "shop", serviceAccount: "db" };
const add = (searches: readonly string[]): ZdsRequest => ({
  kind: "add",
  uid: "7f9c",
  workload: { ...WHO, dns: { policy: "None", searches, nameservers: [ip("10.0.0.53")] } },
});

test("Istio's ztunnel, which has no such field, reads the rest of the announcement", () => {
  const root = protobuf.parse(
    `syntax = "proto3"; message WorkloadInfo { string name = 1; string namespace = 2; string service_account = 3; }
     message AddWorkload { string uid = 1; WorkloadInfo workload_info = 2; } message WorkloadRequest { AddWorkload add = 1; }`,
  ).root;
  const theirs = root.lookupType("WorkloadRequest");
  const read = theirs.toObject(theirs.decode(encodeZdsRequest(add(["corp.example"]))));
  assert.deepEqual(read, { add: { uid: "7f9c", workloadInfo: WHO } });
});

test("an announcement stays within the 1024 bytes that are read at once: search domains are left behind first", () => {
  const long = encodeZdsRequest(add(Array.from({ length: 32 }, (_, i) => `${"d".repeat(50)}${i}.example`)));
  assert.ok(long.length <= 1024);
  assert.deepEqual(unwrap(decodeZdsRequest(long)), add([]));
});

test("a hello that Istio's agent reads says version 1, and Istio's own hello understands nothing of ours", () => {
  const root = protobuf.parse(`syntax = "proto3"; message ZdsHello { int32 version = 1; }`).root;
  const theirs = root.lookupType("ZdsHello");
  assert.deepEqual(theirs.toObject(theirs.decode(encodeZdsHello({ version: "V1", understands: ["terminating"] }))), { version: 1 });
  assert.deepEqual(unwrap(decodeZdsHello(theirs.encode({ version: 1 }).finish())), { version: "V1", understands: [] });
});

test("a pod without anything special is announced as Istio announces it", () => {
  const plain: ZdsRequest = { kind: "add", uid: "7f9c", workload: WHO };
  assert.deepEqual(unwrap(decodeZdsRequest(encodeZdsRequest(plain))), plain);
});
