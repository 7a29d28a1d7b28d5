// Are header blocks read as RFC 7541 says, and refused when they break its rules?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ConnectionError } from "../codes.ts";
import { HpackDecoder } from "./decode.ts";
import { encodeBlock } from "./encode.ts";
import { huffmanDecode } from "./huffman.ts";
import { type Field, STATIC, staticField, staticName } from "./static.ts";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ""), "hex");
const decoder = (table = 4096, list = 65_536): HpackDecoder => new HpackDecoder(table, list);
const read = (d: HpackDecoder, block: Buffer): string[] => {
  const out = d.decode(block);
  assert.equal(out.t, "fields");
  return out.t === "fields" ? out.fields.map(([n, v]) => `${n}: ${v}`) : [];
};

// RFC 7541 appendix C: [title, table size, [block, fields, table size after]...]
const EXAMPLES: readonly (readonly [string, number, readonly (readonly [string, readonly string[], number])[]])[] = [
  ["C.2.1", 4096, [["400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", ["custom-key: custom-header"], 55]]],
  ["C.2.2", 4096, [["040c 2f73 616d 706c 652f 7061 7468", [":path: /sample/path"], 0]]],
  ["C.2.3", 4096, [["1008 7061 7373 776f 7264 0673 6563 7265 74", ["password: secret"], 0]]],
  ["C.2.4", 4096, [["82", [":method: GET"], 0]]],
  [
    "C.4 requests with Huffman",
    4096,
    [
      ["8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"], 57],
      [
        "8286 84be 5886 a8eb 1064 9cbf",
        [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com", "cache-control: no-cache"],
        110,
      ],
      [
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        [":method: GET", ":scheme: https", ":path: /index.html", ":authority: www.example.com", "custom-key: custom-value"],
        164,
      ],
    ],
  ],
  [
    "C.6 responses with Huffman and eviction",
    256,
    [
      [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        [":status: 302", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:21 GMT", "location: https://www.example.com"],
        222,
      ],
      [
        "4883 640e ffc1 c0bf",
        [":status: 307", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:21 GMT", "location: https://www.example.com"],
        222,
      ],
      [
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
        [
          ":status: 200",
          "cache-control: private",
          "date: Mon, 21 Oct 2013 20:13:22 GMT",
          "location: https://www.example.com",
          "content-encoding: gzip",
          "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
        ],
        215,
      ],
    ],
  ],
];
for (const [title, table, blocks] of EXAMPLES) {
  test(`RFC 7541 ${title}`, () => {
    const d = decoder(table);
    for (const [block, fields, size] of blocks) {
      assert.deepEqual(read(d, hex(block)), fields);
      assert.equal(d.tableSize, size);
    }
  });
}

const REFUSED: Readonly<Record<string, string>> = {
  "index 0": "80",
  "an index that is not there": "be",
  "a name's index that is not there": "7f 00 00",
  "an index far away": "ff ff ff 03",
  "a number without end": "ff ff ff ff ff ff ff ff ff 0f",
  "a number that does not end in the block": "ff",
  "a string longer than the block": "00 05 61",
  "a string's length of 4 GB": "00 7f ff ff ff ff 0f 61",
  "a name without a value": "00 01 61",
  "Huffman: filled up with zeros": "00 01 61 81 00",
  "Huffman: eight ones too many": "00 01 61 82 1f ff",
  "Huffman: EOS": "00 01 61 84 ff ff ff ff",
  "the table made larger than allowed": "3f e2 1f",
  "the table's size after a field": "82 20",
};
for (const [title, block] of Object.entries(REFUSED)) {
  test(`refused: ${title}`, () =>
    assert.throws(
      () => decoder().decode(hex(block)),
      (e) => e instanceof ConnectionError && e.code === "COMPRESSION_ERROR",
    ));
}

test("several changes of the table's size may begin a block; the table obeys", () => {
  const d = decoder();
  read(d, encode([["a", "b"]], 0x40));
  assert.equal(d.tableSize, 34);
  assert.deepEqual(read(d, hex("20 3f e1 1f 82")), [":method: GET"]);
  assert.equal(d.tableSize, 0);
});

test("an entry larger than the table empties it", () => {
  const d = decoder(64);
  read(d, encode([["a", "b"]], 0x40));
  read(d, encode([["a", "b".repeat(100)]], 0x40));
  assert.equal(d.tableSize, 0);
});

/** Literals with another first byte: 0x40 is "with indexing". */
const encode = (fields: readonly Field[], pattern: number): Buffer =>
  Buffer.concat(fields.flatMap(([n, v]) => [Buffer.from([pattern]), text(n), text(v)]));
const text = (s: string): Buffer => {
  assert.ok(s.length < 127);
  return Buffer.concat([Buffer.from([s.length]), Buffer.from(s, "latin1")]);
};

test("a bomb (one large entry named thousands of times) is told as too large, at once, and the table stays in step", () => {
  const d = decoder(4096, 16_384);
  read(d, encodeIndexed("a", "b".repeat(4000)));
  assert.deepEqual(d.decode(Buffer.alloc(60_000, 0xbe)), { t: "too-large" });
  assert.equal(read(d, hex("be")).length, 1);
});
const encodeIndexed = (name: string, value: string): Buffer => {
  const plain = encodeBlock([[name, value]], false);
  plain[0] = 0x40;
  return plain;
};

test("what is encoded is decoded, whatever it is", () => {
  const token = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((c) => String.fromCharCode(c)), maxLength: 300 });
  const known = fc.constantFrom(...STATIC);
  const fields = fc.array(fc.oneof(known, fc.tuple(token, token)), { maxLength: 20 });
  fc.assert(
    fc.property(fields, (list) => {
      const d = decoder(0, 1 << 20);
      const out = d.decode(encodeBlock(list, true));
      assert.deepEqual(out, { t: "fields", fields: list.map(([n, v]) => [n, v]) });
      assert.equal(d.tableSize, 0);
    }),
    { numRuns: 200 },
  );
});

test("no block makes it throw anything else, or keep more than its table", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }), (blocks) => {
      const d = decoder(200, 500);
      try {
        for (const b of blocks) d.decode(Buffer.from(b));
      } catch (e) {
        assert.ok(e instanceof ConnectionError, String(e));
      }
      assert.ok(d.tableSize <= 200);
    }),
    { numRuns: 1000 },
  );
});

test("the static table's ends and its look-ups", () => {
  assert.equal(STATIC.length, 61);
  assert.deepEqual(STATIC[60], ["www-authenticate", ""]);
  assert.equal(staticField(":status", "404"), 13);
  assert.equal(staticName(":status"), 8);
  assert.equal(staticName("x-other"), undefined);
  assert.equal(staticField("date", "x"), undefined);
});

test("an empty Huffman text is empty", () => assert.equal(huffmanDecode(Buffer.alloc(0))?.length, 0));
