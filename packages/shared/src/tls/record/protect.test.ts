// Are records sealed and proved as TLS 1.3 says, and is nothing else taken?

import assert from "node:assert/strict";
import { createCipheriv } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { BlockPool } from "./blocks.ts";
import { findEvp } from "./evp.ts";
import { HEADER, MAX_CONTENT, TYPE } from "./limits.ts";
import { Protection } from "./protect.ts";
import { type Suite, suiteOf, trafficKeys } from "./schedule.ts";
import { Gather, sealRecord } from "./seal.ts";

const found = findEvp();
assert.ok("evp" in found, "this node has EVP");
const { evp } = found;
const pool = new BlockPool(evp, 8);
const suites = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"].map((name) => suiteOf(name) as Suite);

const protection = (suite: Suite, encrypt: boolean, sequence = 0): Protection =>
  new Protection(evp, suite, { secret: Buffer.alloc(suite.hashLength, 9), sequence, encrypt });

/** A record made without any of our code but the key schedule. */
const reference = (suite: Suite, sequence: bigint, content: Buffer): Buffer => {
  const { key, iv } = trafficKeys(suite, Buffer.alloc(suite.hashLength, 9));
  const nonce = Buffer.from(iv);
  nonce.writeBigUInt64BE(nonce.readBigUInt64BE(4) ^ sequence, 4);
  const header = Buffer.from([23, 3, 3, (content.length + 17) >> 8, (content.length + 17) & 0xff]);
  const cipher = createCipheriv(suite.keyLength === 16 ? "aes-128-gcm" : "aes-256-gcm", key, nonce);
  cipher.setAAD(header);
  return Buffer.concat([header, cipher.update(Buffer.concat([content, Buffer.from([23])])), cipher.final(), cipher.getAuthTag()]);
};

const seal = (p: Protection, parts: readonly Buffer[]): Buffer => {
  const block = pool.take(HEADER + MAX_CONTENT + 17);
  const from = new Gather(parts);
  const end = sealRecord(p, block, 0, { type: TYPE.data, from, n: from.left });
  const record = Buffer.from(block.bytes.subarray(0, end));
  block.drop();
  return record;
};
/** The inner content and type, or undefined when it is not what was sent. */
const open = (p: Protection, record: Buffer): Buffer | undefined => {
  const block = pool.take(2 * MAX_CONTENT);
  record.copy(block.bytes);
  const n = record.length - HEADER - 16;
  const proved = p.begin(block.address) && p.prove(block.address + MAX_CONTENT, block.address + HEADER, n);
  const content = Buffer.from(block.bytes.subarray(MAX_CONTENT, MAX_CONTENT + n));
  block.drop();
  return proved ? content : undefined;
};

test("RFC 8448 section 3: the client's application data", () => {
  const suite = suites[0] as Suite;
  const secret = Buffer.from("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5", "hex");
  const p = new Protection(evp, suite, { secret, sequence: 0, encrypt: true });
  const content = Buffer.from(Array.from({ length: 50 }, (_, i) => i));
  const expected = `1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292a2
    977014bd1e3deae63aeebb21694915e4`.replaceAll(/\s/g, "");
  assert.equal(seal(p, [content]).toString("hex"), expected);
  p.end();
});

test("any split into parts gives the same record, and the peer reads it", () => {
  for (const suite of suites) {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 5 }), fc.nat(2 ** 30), (parts, sequence) => {
        const ours = protection(suite, true, sequence);
        const theirs = protection(suite, false, sequence);
        const content = Buffer.concat(parts);
        const record = seal(
          ours,
          parts.map((p) => Buffer.from(p)),
        );
        assert.deepEqual(record, reference(suite, BigInt(sequence), content));
        assert.deepEqual(open(theirs, record), Buffer.concat([content, Buffer.from([23])]));
        ours.end();
        theirs.end();
      }),
      { numRuns: 100 },
    );
  }
});

test("record numbers are exact beyond 2^32", () => {
  for (const suite of suites) {
    for (const start of [2 ** 32 - 2, 2 ** 33 + 5, 2 ** 48 - 1, Number.MAX_SAFE_INTEGER - 3]) {
      const p = protection(suite, true, start);
      for (let i = 0; i < 3; i++) assert.deepEqual(seal(p, [Buffer.from("x")]), reference(suite, BigInt(start + i), Buffer.from("x")));
      p.end();
    }
    const last = protection(suite, true, Number.MAX_SAFE_INTEGER);
    assert.throws(() => seal(last, [Buffer.from("x")]), /used up/);
    last.end();
  }
});

test("a flipped bit anywhere, another number or another key is not proved", () => {
  for (const suite of suites) {
    const record = reference(suite, 0n, Buffer.from("some octets"));
    for (let bit = 0; bit < record.length * 8; bit++) {
      // The length is looked at before: what is cut off or added is another record.
      if (bit >> 3 === 3 || bit >> 3 === 4) continue;
      const bad = Buffer.from(record);
      bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const p = protection(suite, false);
      assert.equal(open(p, bad), undefined);
      p.end();
    }
    for (const p of [protection(suite, false, 1), protection(suite, false, 2 ** 32)]) {
      assert.equal(open(p, record), undefined);
      p.end();
    }
    const updated = protection(suite, false);
    updated.rekey();
    assert.equal(open(updated, record), undefined);
    updated.end();
  }
});

test("after its end a protection does nothing", () => {
  const p = protection(suites[0] as Suite, true);
  p.end();
  p.end();
  assert.throws(() => seal(p, [Buffer.from("x")]), /over/);
});
