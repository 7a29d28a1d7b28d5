// Are records found whole and in order, however the octets come?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TlsFault } from "./alerts.ts";
import { BlockPool, type Memory } from "./blocks.ts";
import { findEvp } from "./evp.ts";
import { HEADER, MAX_FRAGMENT } from "./limits.ts";
import { RecordSplitter } from "./split.ts";

const found = findEvp();
assert.ok("evp" in found, "this node has EVP");
const { evp } = found;

const record = (length: number, fill: number): Buffer =>
  Buffer.concat([Buffer.from([23, 3, 3, length >> 8, length & 0xff]), Buffer.alloc(length, fill)]);

/** Pushes the pieces one after the other into memory that is used again, as a socket's reads are. */
const split = (pieces: readonly Buffer[]): { records: Buffer[]; partial: boolean } => {
  const splitter = new RecordSplitter(new BlockPool(evp, 1));
  const bytes = Buffer.allocUnsafeSlow(1 << 20);
  const memory: Memory = { bytes, address: 0 };
  const records: Buffer[] = [];
  for (const piece of pieces) {
    bytes.fill(0xee, 0, piece.length + 64);
    piece.copy(bytes);
    splitter.push(memory, piece.length, (from, at, length) => records.push(Buffer.from(from.bytes.subarray(at, at + HEADER + length))));
  }
  const { partial } = splitter;
  splitter.free();
  return { records, partial };
};

test("whole records come out as they went in, across any boundaries", () => {
  const lengths = fc.array(fc.oneof(fc.integer({ min: 17, max: 60 }), fc.integer({ min: 17, max: MAX_FRAGMENT })), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(lengths, fc.array(fc.nat(200_000), { maxLength: 12 }), fc.nat(40), (sizes, cuts, short) => {
      const records = sizes.map((n, i) => record(n, i));
      const all = Buffer.concat(records);
      const whole = all.subarray(0, all.length - Math.min(short, (sizes.at(-1) ?? 0) + HEADER));
      const at = [0, ...[...new Set(cuts.map((c) => c % (whole.length + 1)))].sort((a, b) => a - b), whole.length];
      const out = split(at.slice(1).map((end, i) => whole.subarray(at[i] ?? 0, end)));
      const expected = whole.length === all.length ? records : records.slice(0, -1);
      assert.deepEqual(out.records, expected);
      assert.equal(out.partial, whole.length > expected.reduce((n, r) => n + r.length, 0));
    }),
    { numRuns: 200 },
  );
});

test("octet by octet", () => {
  const records = [record(17, 1), record(300, 2), record(18, 3)];
  assert.deepEqual(split([...Buffer.concat(records)].map((o) => Buffer.from([o]))).records, records);
});

const faults = [
  { name: "an alert that is not encrypted", bytes: [21, 3, 3, 0, 2, 1, 0], alert: "unexpected_message" },
  { name: "a ChangeCipherSpec after the handshake", bytes: [20, 3, 3, 0, 1, 1], alert: "unexpected_message" },
  { name: "HTTP", bytes: [...Buffer.from("GET / HTTP/1.1\r\n\r\n")], alert: "unexpected_message" },
  { name: "a record that is too long", bytes: [23, 3, 3, 0x41, 1], alert: "record_overflow" },
  { name: "a record without room for a tag", bytes: [23, 3, 3, 0, 16, ...new Array(16).fill(0)], alert: "bad_record_mac" },
  { name: "an empty record", bytes: [23, 3, 3, 0, 0], alert: "bad_record_mac" },
];
for (const c of faults)
  test(`refused as soon as its header is there: ${c.name}`, () => {
    for (const pieces of [[Buffer.from(c.bytes)], c.bytes.map((o) => Buffer.from([o]))])
      assert.throws(
        () => split(pieces),
        (e) => e instanceof TlsFault && e.alert === c.alert,
      );
  });
