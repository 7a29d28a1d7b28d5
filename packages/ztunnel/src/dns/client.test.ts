// Asking nameservers, over real sockets: what goes through, who is believed, what happens when one is silent, wrong or gone.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { ip } from "@ambit/shared/state/fixtures.ts";
import packet from "dns-packet";
import { type Answers, addressRecord, type Nameserver, reply, startNameserver } from "../test/nameserver.ts";
import { createUpstream, type DnsProtocol, socketsFrom, type Upstream } from "./client.ts";
import { type Query, readQuery, udpLimit } from "./message.ts";

const world = realWorld();
const never = new AbortController().signal;

const server = async (t: TestContext, answers: Answers): Promise<Nameserver> => {
  const s = await startNameserver({ ip: "127.0.0.1", port: 0 }, answers);
  t.after(() => s.close());
  return s;
};
const upstreamOf = (...servers: readonly { readonly port: number }[]): Upstream =>
  createUpstream({ servers: servers.map(({ port }) => ({ ip: ip("127.0.0.1"), port })), socket: socketsFrom(undefined, undefined), world });

const opt = (udpPayloadSize: number, options: readonly { code: number; data: Buffer }[] = []): packet.OptAnswer =>
  ({
    type: "OPT",
    name: ".",
    udpPayloadSize,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options,
  }) as unknown as packet.OptAnswer;
const queryOf = (over: Partial<packet.Packet> = {}): Query => {
  const read = readQuery(
    packet.encode({ type: "query", id: 4711, flags: 256, questions: [{ type: "A", name: "www.example.com" }], ...over }),
  );
  assert.ok(read.kind === "query");
  return read.query;
};
const ask = async (upstream: Upstream, query = queryOf(), protocol: DnsProtocol = "udp", signal = never): Promise<Buffer> =>
  (await upstream.ask(query, { protocol, limit: protocol === "tcp" ? 65_535 : udpLimit(query.edns), signal })).answer;
const addresses = (bytes: Buffer): unknown[] => (packet.decode(bytes).answers ?? []).map((a) => ("data" in a ? a.data : a.type));
const good: Answers = (q) => [reply(q, { answers: [addressRecord("www.example.com", "10.1.1.1")] })];
const silent: Answers = () => [];

for (const protocol of ["udp", "tcp"] as const)
  test(`${protocol}: query and answer go through byte for byte, but for the id`, async (t) => {
    let seen: Buffer | undefined;
    let said: Buffer | undefined;
    const s = await server(t, (q, bytes) => {
      seen = bytes;
      said = reply(q, {
        flags: packet.AUTHENTIC_DATA | 3,
        answers: [
          { type: "SRV", name: "_http._tcp.example.com", ttl: 7, data: { port: 80, target: "a.example.com", priority: 1, weight: 2 } },
        ],
        authorities: [
          {
            type: "SOA",
            name: "example.com",
            ttl: 60,
            data: { mname: "ns.example.com", rname: "host.example.com", serial: 1, refresh: 2, retry: 3, expire: 4, minimum: 5 },
          },
        ],
        additionals: [addressRecord("a.example.com", "10.0.0.1"), opt(1232, [{ code: 10, data: Buffer.from("0123456789abcdef", "hex") }])],
      });
      return [said];
    });
    const query = queryOf({
      questions: [{ type: "SRV", name: "_HTTP._tcp.Example.com" }],
      additionals: [opt(4096, [{ code: 10, data: Buffer.from("0123456789abcdef", "hex") }])],
    });
    const answer = await ask(upstreamOf(s), query, protocol);
    assert.deepEqual(seen?.subarray(2), query.bytes.subarray(2));
    assert.deepEqual(answer.subarray(2), said?.subarray(2));
    assert.equal(answer.readUInt16BE(0), 4711);
  });

test("each question has an id and a port of its own choosing", async (t) => {
  const ids = new Set<number | undefined>();
  const s = await server(t, (q, bytes, protocol) => {
    ids.add(q.id);
    return good(q, bytes, protocol);
  });
  const upstream = upstreamOf(s);
  for (let i = 0; i < 20; i++) await ask(upstream);
  assert.ok(ids.size >= 19, "20 questions under the client's one id");
});

test("answers that are not to the question are passed over: another id, another name, a query, garbage", async (t) => {
  const forged = [addressRecord("www.example.com", "6.6.6.6")];
  const s = await server(t, (q) => [
    reply(q, { id: ((q.id ?? 0) + 1) & 0xffff, answers: forged }),
    reply(q, { questions: [{ type: "A", name: "www.example.org" }], answers: forged }),
    reply(q, { questions: [{ type: "AAAA", name: "www.example.com" }], answers: forged }),
    reply(q, { type: "query", answers: forged }),
    Buffer.from("garbage"),
    Buffer.alloc(0),
    ...good(q, Buffer.alloc(0), "udp"),
  ]);
  assert.deepEqual(addresses(await ask(upstreamOf(s))), ["10.1.1.1"]);
});

test("a silent server: the next is asked after a second, and the first may still answer", async (t) => {
  const [first, second] = [await server(t, silent), await server(t, good)];
  assert.deepEqual(addresses(await ask(upstreamOf(first, second))), ["10.1.1.1"]);
  assert.equal(first.asked.length, 1);
});

test("a server that refuses or fails: the next is asked at once; all do: the client is told what they say", async (t) => {
  const fails: Answers = (q) => [reply(q, { flags: 2 })];
  const refuses: Answers = (q) => [reply(q, { flags: 5 })];
  const [bad, worse, fine] = [await server(t, fails), await server(t, refuses), await server(t, good)];
  assert.deepEqual(addresses(await ask(upstreamOf(bad, worse, fine))), ["10.1.1.1"]);
  const last = await ask(upstreamOf(bad, worse));
  assert.ok([2, 5].includes(last.readUInt16BE(2) & 15));
});

test("a server that is gone is known at once, over UDP too", async (t) => {
  const gone = await startNameserver({ ip: "127.0.0.1", port: 0 }, silent);
  await gone.close();
  const fine = await server(t, good);
  for (const protocol of ["udp", "tcp"] as const) {
    assert.deepEqual(addresses(await ask(upstreamOf(gone, fine), queryOf(), protocol)), ["10.1.1.1"]);
    await assert.rejects(ask(upstreamOf(gone), queryOf(), protocol), /127\.0\.0\.1:\d+: .*ECONNREFUSED/);
  }
  await assert.rejects(ask(upstreamOf()), /no nameserver is known/);
});

test("NXDOMAIN is an answer, not a failure: nobody else is asked", async (t) => {
  const [first, second] = [await server(t, (q) => [reply(q, { flags: 3 })]), await server(t, good)];
  assert.equal((await ask(upstreamOf(first, second))).readUInt16BE(2) & 15, 3);
  assert.deepEqual(second.asked, []);
});

test("an answer that the server cut at its own size is fetched whole where the client takes it", async (t) => {
  const many = Array.from({ length: 60 }, (_, i) => addressRecord("www.example.com", `10.2.0.${i}`));
  const s = await server(t, (q, _b, protocol) => [reply(q, protocol === "udp" ? { flags: packet.TRUNCATED_RESPONSE } : { answers: many })]);
  const whole = await ask(upstreamOf(s), queryOf({ additionals: [opt(4096)] }));
  assert.equal(addresses(whole).length, 60);
  const cut = await ask(upstreamOf(s), queryOf());
  assert.equal(packet.decode(cut).flag_tc, true, "a client that takes 512 bytes asks over TCP itself");
  assert.equal(addresses(await ask(upstreamOf(s), queryOf(), "tcp")).length, 60);
});

test("the client's end ends the asking", async (t) => {
  const s = await server(t, silent);
  const stop = new AbortController();
  const asking = ask(upstreamOf(s), queryOf(), "udp", stop.signal);
  stop.abort(new Error("the pod is gone"));
  await assert.rejects(asking, /the pod is gone/);
  await assert.rejects(ask(upstreamOf(s), queryOf(), "tcp", stop.signal), /the pod is gone/);
});

test("nobody answers: it ends before a stub resolver would give up, with a sentence, and leaves no socket behind", async (t) => {
  const s = await server(t, silent);
  const quick = { ...world, sleep: (ms: number, signal?: AbortSignal) => world.sleep(ms / 50, signal) };
  const upstream = createUpstream({
    servers: [{ ip: ip("127.0.0.1"), port: s.port }],
    socket: socketsFrom(undefined, undefined),
    world: quick,
  });
  await assert.rejects(ask(upstream), /127\.0\.0\.1:\d+: no answer within 4500 ms/);
  assert.equal(s.asked.length, 2, "a lost datagram is sent again");
  const udp = process.getActiveResourcesInfo().filter((r) => r === "UDPWRAP").length;
  assert.ok(udp <= 1, "only the test's own server is left");
});
