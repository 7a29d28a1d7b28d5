// Messages as others write and read them: dns-packet is the other side; hostile bytes never throw, nor make us answer an answer.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "@ambit/shared/state/fixtures.ts";
import packet from "dns-packet";
import fc from "fast-check";
import { answersQuestion, encodeAnswer, MAX_MESSAGE, type Query, RCODE, readQuery, udpLimit, withId } from "./message.ts";

const opt = (udpPayloadSize: number): packet.OptAnswer => ({
  type: "OPT",
  name: ".",
  udpPayloadSize,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: packet.DNSSEC_OK,
  flag_do: true,
  options: [],
});
const asks = (name: string, type: packet.RecordType = "A", edns?: number): Buffer =>
  packet.encode({
    type: "query",
    id: 4711,
    flags: packet.RECURSION_DESIRED | packet.CHECKING_DISABLED,
    questions: [{ type, name }],
    additionals: edns === undefined ? [] : [opt(edns)],
  });
const query = (bytes: Buffer): Query => {
  const read = readQuery(bytes);
  assert.equal(read.kind, "query");
  return (read as { query: Query }).query;
};

test("a query is read: the name in lower case, its type, its EDNS size", () => {
  const q = query(asks("WWW.Example.COM", "AAAA", 1232));
  assert.equal(q.name, "www.example.com");
  assert.equal(q.type, 28);
  assert.equal(q.inInternet, true);
  assert.deepEqual(q.edns, { payload: 1232, version: 0, flags: 0x8000 });
  assert.equal(query(asks(".", "NS")).name, "");
});

test("an answer says who it is from, echoes the question as it was written, and names the addresses", () => {
  const q = query(asks("WWW.Example.com.ns1.svc.cluster.local", "A", 1232));
  const bytes = encodeAnswer(
    q,
    { rcode: RCODE.NOERROR, authoritative: true, addresses: [ip("1.1.1.1"), ip("2.2.2.2")], canonical: "www.example.com", ttl: 30 },
    udpLimit(q.edns),
  );
  const m = packet.decode(bytes);
  assert.equal(m.id, 4711);
  assert.deepEqual([m.flag_aa, m.flag_ra, m.flag_rd, m.flag_cd, m.flag_tc], [true, true, true, true, false]);
  assert.equal(m.questions?.[0]?.name, "WWW.Example.com.ns1.svc.cluster.local");
  const shown = m.answers?.map((r) => (r.type === "CNAME" || r.type === "A" ? `${r.name} ${r.ttl} ${r.type} ${r.data}` : r.type));
  assert.deepEqual(shown, [
    "WWW.Example.com.ns1.svc.cluster.local 30 CNAME www.example.com",
    "www.example.com 30 A 1.1.1.1",
    "www.example.com 30 A 2.2.2.2",
  ]);
  const [edns] = m.additionals ?? [];
  assert.equal(edns?.type === "OPT" && edns.udpPayloadSize, 1232);
  assert.equal(edns?.type === "OPT" && edns.flag_do, true);
});

test("large_response: over UDP what fits, marked as cut; over TCP all of it", () => {
  const addresses = Array.from({ length: 256 }, (_, i) => ip(`240.0.0.${i}`));
  const content = { rcode: RCODE.NOERROR, authoritative: true, addresses, ttl: 30 };
  const q = query(asks("large.com", "A", 1232));
  const udp = packet.decode(encodeAnswer(q, content, udpLimit(q.edns)));
  assert.equal(udp.flag_tc, true);
  assert.equal(udp.answers?.length, 74, "Istio's number, of records as small as these can be written");
  const tcp = packet.decode(encodeAnswer(q, content, MAX_MESSAGE));
  assert.equal(tcp.flag_tc, false);
  assert.equal(tcp.answers?.length, 256);
  const plain = query(asks("large.com"));
  assert.ok(encodeAnswer(plain, content, udpLimit(plain.edns)).length <= 512);
  const tiny = query(asks("large.com", "A", 1));
  assert.equal(udpLimit(tiny.edns), 512, "what is less than 512 counts as 512");
  const [echoed] = packet.decode(encodeAnswer(tiny, content, udpLimit(tiny.edns))).additionals ?? [];
  assert.equal(echoed?.type === "OPT" && echoed.udpPayloadSize, 512);
});

test("an answer is within the limit whatever the name and however many the addresses", () => {
  const label = fc.string({ unit: fc.constantFrom(..."abcXYZ0-"), minLength: 1, maxLength: 63 });
  const name = fc
    .array(label, { minLength: 1, maxLength: 8 })
    .map((l) => l.join("."))
    .filter((n) => n.length < 250);
  fc.assert(
    fc.property(name, fc.nat(400), fc.option(fc.integer({ min: 0, max: 65_535 })), (n, count, edns) => {
      const q = query(asks(n, "A", edns ?? undefined));
      const addresses = Array.from({ length: count }, (_, i) => ip(`10.0.${i >> 8}.${i & 255}`));
      const canonical = n.includes(".") ? n.slice(0, n.lastIndexOf(".")).toLowerCase() : undefined;
      const bytes = encodeAnswer(q, { rcode: RCODE.NOERROR, authoritative: true, addresses, canonical, ttl: 30 }, udpLimit(q.edns));
      assert.ok(bytes.length <= udpLimit(q.edns));
      const m = packet.decode(bytes);
      assert.equal(m.flag_tc, (m.answers?.length ?? 0) < count + (canonical === undefined ? 0 : 1));
      assert.ok(answersQuestion(bytes, { query: q, id: 4711 }));
    }),
  );
});

test("what is no query gets no answer; what is a query that cannot be served is told so", () => {
  const kindOf = (bytes: Buffer): string => {
    const r = readQuery(bytes);
    return r.kind === "refuse" ? `refuse ${r.answer.readUInt16BE(2) & 15}` : r.kind;
  };
  assert.equal(kindOf(Buffer.alloc(0)), "drop");
  assert.equal(kindOf(Buffer.alloc(11)), "drop");
  assert.equal(kindOf(packet.encode({ type: "response", id: 1, questions: [{ type: "A", name: "a.b" }] })), "drop");
  assert.equal(kindOf(Buffer.alloc(12)), "refuse 1", "no question");
  const edited = (at: number, value: number, from = asks("a.b", "A", 1232)): Buffer => {
    const out = Buffer.from(from);
    out.writeUInt8(value, at);
    return out;
  };
  assert.equal(kindOf(edited(2, 0x28)), "refuse 4", "an update");
  assert.equal(kindOf(edited(2, 0x20)), "refuse 4", "a notification");
  assert.equal(kindOf(edited(5, 2)), "refuse 1", "two questions");
  assert.equal(kindOf(edited(12, 0xc0)), "refuse 1", "a pointer in the question");
  assert.equal(kindOf(edited(12, 63)), "refuse 1", "a label beyond the end");
  assert.equal(kindOf(edited(11, 2)), "refuse 1", "a record that is not there");
  assert.equal(kindOf(asks("a.b").subarray(0, 15)), "refuse 1", "cut within the name");
  const twice = packet.encode({ type: "query", id: 1, questions: [{ type: "A", name: "a.b" }], additionals: [opt(512), opt(512)] });
  assert.equal(kindOf(twice), "refuse 1", "two OPT records (RFC 6891 section 6.1.1)");
});

test("refusals are never longer than what they answer", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (raw) => {
      const read = readQuery(Buffer.from(raw));
      if (read.kind === "refuse") assert.ok(read.answer.length <= raw.length);
    }),
    { numRuns: 2000 },
  );
});

test("any bytes after a good header are read without throwing, and answered within the limit", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(3), (raw, additionals) => {
      const header = Buffer.from([0x12, 0x34, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, additionals]);
      const read = readQuery(Buffer.concat([header, Buffer.from(raw)]));
      if (read.kind !== "query") return;
      const bytes = encodeAnswer(read.query, { rcode: RCODE.SERVFAIL, authoritative: false }, udpLimit(read.query.edns));
      assert.ok(bytes.length <= read.query.bytes.length + 11);
    }),
    { numRuns: 3000 },
  );
});

test("names that are no host names of ours are kept apart from those that are: a dot inside a label is no separator", () => {
  const bytes = Buffer.concat([
    Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    Buffer.from([7]),
    Buffer.from("web.ns1"),
    Buffer.from([0, 0, 1, 0, 1]),
  ]);
  assert.equal(query(bytes).name, undefined);
});

test("an answer counts only under our id, to our question, as an answer", () => {
  const q = query(asks("www.example.com"));
  const reply = (over: Partial<packet.Packet>): Buffer =>
    packet.encode({ type: "response", id: 7, questions: [{ type: "A", name: "www.example.com" }], ...over });
  const good = (b: Buffer): boolean => answersQuestion(b, { query: q, id: 7 });
  assert.ok(good(reply({})));
  assert.ok(good(reply({ questions: [{ type: "A", name: "WWW.EXAMPLE.COM" }] })));
  assert.ok(good(reply({ flags: 2, questions: [] })), "SERVFAIL without the question");
  assert.ok(!good(reply({ questions: [] })), "success without the question");
  assert.ok(!good(reply({ id: 8 })));
  assert.ok(!good(reply({ type: "query" })));
  assert.ok(!good(reply({ questions: [{ type: "AAAA", name: "www.example.com" }] })));
  assert.ok(!good(reply({ questions: [{ type: "A", name: "www.example.org" }] })));
  assert.ok(
    !good(
      reply({
        questions: [
          { type: "A", name: "www.example.com" },
          { type: "A", name: "x.y" },
        ],
      }),
    ),
  );
  assert.ok(!good(Buffer.alloc(5)));
  assert.equal(withId(reply({}), 9).readUInt16BE(0), 9);
});
