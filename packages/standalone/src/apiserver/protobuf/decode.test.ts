// Does protobuf read as the JSON that the same client would have sent?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeObject } from "./decode.ts";
import { ProtobufError } from "./reader.ts";

const varint = (n: bigint): number[] => (n < 128n ? [Number(n)] : [Number(n & 127n) | 128, ...varint(n >> 7n)]);
const number = (field: number, n: number): number[] => [...varint(BigInt(field << 3)), ...varint(BigInt.asUintN(64, BigInt(n)))];
const bytes = (field: number, b: readonly number[]): number[] => [...varint(BigInt((field << 3) | 2)), ...varint(BigInt(b.length)), ...b];
const text = (field: number, s: string): number[] => bytes(field, [...Buffer.from(s)]);
const envelope = (apiVersion: string, kind: string, raw: readonly number[]): Uint8Array =>
  Uint8Array.from([0x6b, 0x38, 0x73, 0, ...bytes(1, [...text(1, apiVersion), ...text(2, kind)]), ...bytes(2, raw)]);

test("a ConfigMap: maps, bytes, times; zero values are left out", () => {
  const meta = [...text(1, "a"), ...text(3, ""), ...bytes(8, number(1, 1_709_210_096)), ...bytes(11, [...text(1, "k"), ...text(2, "v")])];
  const raw = [
    ...bytes(1, meta),
    ...bytes(2, [...text(1, "x"), ...text(2, "é")]),
    ...bytes(3, [...text(1, "b"), ...bytes(2, [0, 255])]),
    ...number(4, 0),
  ];
  assert.deepEqual(decodeObject(envelope("v1", "ConfigMap", raw)), {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "a", creationTimestamp: "2024-02-29T12:34:56Z", labels: { k: "v" } },
    data: { x: "é" },
    binaryData: { b: "AP8=" },
    immutable: false, // a pointer in Go: false was said
  });
});

test("a Service's port: int or string, quantities and inlined parts", () => {
  const port = (target: readonly number[]) => [...text(1, "http"), ...number(3, 80), ...bytes(4, target)];
  const raw = bytes(2, [
    ...bytes(1, port([...number(1, 0), ...number(2, 8080), ...text(3, "")])),
    ...bytes(1, port([...number(1, 1), ...text(3, "web")])),
  ]);
  assert.deepEqual(decodeObject(envelope("v1", "Service", raw)).spec, {
    ports: [
      { name: "http", port: 80, targetPort: 8080 },
      { name: "http", port: 80, targetPort: "web" },
    ],
  });
  const volume = bytes(2, bytes(1, [...text(1, "v"), ...bytes(2, bytes(2, text(1, "Memory")))]));
  assert.deepEqual(decodeObject(envelope("v1", "Pod", volume)).spec, { volumes: [{ name: "v", emptyDir: { medium: "Memory" } }] });
});

test("fields of a newer client are passed over", () => {
  assert.deepEqual(decodeObject(envelope("v1", "ConfigMap", [...text(999, "new"), ...number(998, 1)])), {
    apiVersion: "v1",
    kind: "ConfigMap",
  });
});

test("DeleteOptions go by any group's version", () => {
  assert.deepEqual(decodeObject(envelope("apps/v1", "DeleteOptions", [...number(1, 0), ...text(4, "Background")])), {
    apiVersion: "apps/v1",
    kind: "DeleteOptions",
    gracePeriodSeconds: 0,
    propagationPolicy: "Background",
  });
});

test("what is no message is an error, never a crash", () => {
  assert.throws(() => decodeObject(Buffer.from("{}")), ProtobufError);
  assert.throws(() => decodeObject(envelope("v1", "Gadget", [])), /Gadget of v1 is not known/);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom("Pod", "Service", "Secret"), (raw, kind) => {
      try {
        decodeObject(envelope("v1", kind, [...raw]));
      } catch (e) {
        assert.ok(e instanceof ProtobufError, String(e));
      }
    }),
  );
});
