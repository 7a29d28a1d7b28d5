// Do keys follow from secrets as RFC 8448 section 3 says, and do records come out as there?

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseKeylog } from "./keylog.ts";
import { expandLabel, nextSecret, suiteOf, trafficKeys } from "./schedule.ts";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ""), "hex");
const aes128 = suiteOf("TLS_AES_128_GCM_SHA256");
const aes256 = suiteOf("TLS_AES_256_GCM_SHA384");
assert.ok(aes128 && aes256);

const CASES = [
  {
    name: "client application traffic",
    secret: "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
    key: "17422dda596ed5d9acd890e3c63f5051",
    iv: "5b78923dee08579033e523d9",
  },
  {
    name: "server application traffic",
    secret: "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
    key: "9f02283b6c9c07efc26bb9f2ac92e356",
    iv: "cf782b88dd83549aadf1e984",
  },
];
for (const c of CASES) {
  test(`RFC 8448: ${c.name}`, () => {
    const { key, iv } = trafficKeys(aes128, hex(c.secret));
    assert.deepEqual({ key: key.toString("hex"), iv: iv.toString("hex") }, { key: c.key, iv: c.iv });
  });
}

test("lengths are the suite's; the secret after an update is another of the same length", () => {
  for (const suite of [aes128, aes256]) {
    const secret = Buffer.alloc(suite.hashLength, 3);
    const { key, iv } = trafficKeys(suite, secret);
    assert.equal(key.length, suite.keyLength);
    assert.equal(iv.length, 12);
    const next = nextSecret(suite, secret);
    assert.equal(next.length, suite.hashLength);
    assert.notDeepEqual(next, secret);
    assert.throws(() => expandLabel(suite, secret, "key", suite.hashLength + 1), RangeError);
  }
  assert.equal(suiteOf("TLS_CHACHA20_POLY1305_SHA256"), undefined);
});

test("the key log's traffic secrets are read, its other lines are not", () => {
  const random = "ab".repeat(32);
  const secret = "0123456789abcdefABCDEF00".padEnd(64, "f");
  const read = (text: string) => parseKeylog(Buffer.from(text));
  assert.deepEqual(read(`CLIENT_TRAFFIC_SECRET_0 ${random} ${secret}\n`), { side: "client", secret: hex(secret) });
  assert.deepEqual(read(`SERVER_TRAFFIC_SECRET_0 ${random} ${secret}`), { side: "server", secret: hex(secret) });
  for (const other of [
    `CLIENT_HANDSHAKE_TRAFFIC_SECRET ${random} ${secret}`,
    `EXPORTER_SECRET ${random} ${secret}`,
    `CLIENT_TRAFFIC_SECRET_0 ${random}`,
    `CLIENT_TRAFFIC_SECRET_0 ${random} ${secret}f`,
    `CLIENT_TRAFFIC_SECRET_0 ${random} ${"zz".repeat(32)}`,
    "CLIENT_TRAFFIC_SECRET_",
    "",
  ])
    assert.equal(read(other), undefined, other);
});
