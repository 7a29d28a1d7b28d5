// Endpoints known by their host name only: which address, for how long, and what when nobody answers. (on_demand_dns_request)
import assert from "node:assert/strict";
import { test } from "node:test";
import { aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import packet from "dns-packet";
import { addressRecord, reply } from "../test/nameserver.ts";
import type { Upstream } from "./client.ts";
import { addressesIn, createHostResolver, MAX_HOSTS, merged, pickAddress } from "./hosts.ts";

const source = aWorkload("client", "10.0.0.1");
const signal = new AbortController().signal;
const HOST = "db.corp.example";

/** A nameserver's client that answers with what `zone` says for each type; undefined: nobody answers. */
const rig = (zone: (type: string, name: string) => Partial<packet.Packet> | undefined) => {
  let now = 1_000_000;
  const asked: string[] = [];
  const counted: string[] = [];
  const upstream: Upstream = {
    ask: async (query, { protocol }) => {
      const decoded = packet.decode(query.bytes);
      const [q] = decoded.questions ?? [];
      asked.push(`${protocol} ${q?.type}`);
      const said = zone(String(q?.type), q?.name ?? "");
      if (said === undefined) throw new Error("no answer within 4500 ms");
      return { answer: reply(decoded, said), from: { ip: ip("10.96.0.10"), port: 53 } };
    },
  };
  const world = { now: () => now, random: () => 0 };
  const hosts = createHostResolver({ upstream, world, asked: (name) => counted.push(name) });
  const resolve = (prefer: "ipv4" | "ipv6" = "ipv4", name = HOST) => hosts.resolve(name, { prefer, source, signal });
  const pass = (ms: number): void => {
    now += ms;
  };
  return { resolve, asked, counted, pass };
};
const a = (data: string, ttl = 60): Partial<packet.Packet> => ({ answers: [addressRecord(HOST, data, ttl)] });

test("both families are asked once; the preferred one is taken when there is one", async () => {
  const { resolve, asked, counted } = rig((type) => (type === "A" ? a("10.1.1.1") : a("fd00::1")));
  assert.deepEqual(await Promise.all([resolve(), resolve("ipv6"), resolve()]), ["10.1.1.1", "fd00::1", "10.1.1.1"]);
  assert.deepEqual(asked.toSorted(), ["udp A", "udp AAAA"], "a burst asks once");
  assert.deepEqual(counted, [HOST]);
  const only6 = rig((type) => (type === "A" ? {} : a("fd00::1")));
  assert.equal(await only6.resolve("ipv4"), "fd00::1", "another family is better than none");
});

test("an answer is kept as long as its shortest record allows, and no longer", async () => {
  const { resolve, asked, pass } = rig((type) => (type === "A" ? a("10.1.1.1", 30) : {}));
  await resolve();
  pass(29_000);
  await resolve();
  assert.equal(asked.length, 2);
  pass(2_000);
  await resolve();
  assert.equal(asked.length, 4);
});

test("while nobody answers the last answer is used, for half an hour; without one there is a sentence", async () => {
  let up = true;
  const { resolve, pass } = rig((type) => (up ? (type === "A" ? a("10.1.1.1", 10) : {}) : undefined));
  await resolve();
  up = false;
  pass(60_000);
  assert.equal(await resolve(), "10.1.1.1");
  pass(1_800_000);
  await assert.rejects(resolve(), { code: "NO_HEALTHY_UPSTREAM", message: /host db\.corp\.example cannot be resolved: no answer within/ });
});

test("one family's failure does not take the other's address away; a host without any says so", async () => {
  assert.equal(await rig((type) => (type === "A" ? a("10.1.1.1") : undefined)).resolve(), "10.1.1.1");
  const refused = rig((type) => (type === "A" ? a("10.1.1.1") : { flags: 5 }));
  assert.equal(await refused.resolve(), "10.1.1.1");
  await assert.rejects(rig(() => ({ flags: 3 })).resolve(), { code: "NO_HEALTHY_UPSTREAM", message: /has no address/ });
  await assert.rejects(rig(() => ({ flags: 2 })).resolve(), { message: /code 2/ });
});

test("an answer that was cut is asked for again over TCP", async () => {
  let first = true;
  const { resolve, asked } = rig((type) => {
    if (type !== "A") return {};
    const cut = first;
    first = false;
    return cut ? { flags: packet.TRUNCATED_RESPONSE } : a("10.1.1.1");
  });
  assert.equal(await resolve(), "10.1.1.1");
  assert.ok(asked.includes("tcp A"));
});

test("whoever leaves stops waiting; the others have their answer", async () => {
  const answers = Promise.withResolvers<void>();
  const upstream: Upstream = {
    ask: async (query) => {
      await answers.promise;
      return { answer: reply(packet.decode(query.bytes), a("10.1.1.1")), from: { ip: ip("10.96.0.10"), port: 53 } };
    },
  };
  const hosts = createHostResolver({ upstream, world: { now: () => 0, random: () => 0 }, asked: () => {} });
  const leaving = new AbortController();
  const left = hosts.resolve(HOST, { prefer: "ipv4", source, signal: leaving.signal });
  const stays = hosts.resolve(HOST, { prefer: "ipv4", source, signal });
  leaving.abort(new Error("the client closed"));
  await assert.rejects(left, /the client closed/);
  answers.resolve();
  assert.equal(await stays, "10.1.1.1");
});

test("aliases are followed within the answer; addresses of other names, and circles, give nothing", () => {
  const alias = (name: string, data: string, ttl = 5): packet.Answer => ({ type: "CNAME", name, ttl, data });
  const chain = [
    alias(HOST, "a.example"),
    alias("a.example", "B.example", 3),
    addressRecord("b.example", "10.1.1.1"),
    addressRecord("x.y", "6.6.6.6"),
  ];
  assert.deepEqual(addressesIn(chain, HOST), { addresses: ["10.1.1.1"], ttl: 3 });
  assert.deepEqual(addressesIn([alias(HOST, "a.example"), alias("a.example", HOST)], HOST).addresses, []);
  assert.deepEqual(addressesIn([addressRecord("other.example", "6.6.6.6")], HOST).addresses, []);
});

test("how long is bounded both ways: never less than a second, never more than an hour; that there is nothing, 30 s at most", () => {
  const ttl = (over: Partial<packet.Packet>): number => merged([{ type: "response", ...over }], HOST).ttlMs;
  assert.equal(ttl(a("10.1.1.1", 0)), 1_000);
  assert.equal(ttl(a("10.1.1.1", 999_999)), 3_600_000);
  assert.equal(ttl({}), 30_000);
  const soa = { mname: "n", rname: "r", serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 7 };
  assert.equal(ttl({ authorities: [{ type: "SOA", name: "corp.example", ttl: 600, data: soa }] }), 7_000);
});

test("the choice among a host's addresses is at random, within the preferred family", () => {
  const all = [ip("10.0.0.1"), ip("10.0.0.2"), ip("fd00::1")];
  assert.deepEqual(
    [0, 0.6, 0.99].map((r) => pickAddress(all, "ipv4", () => r)),
    ["10.0.0.1", "10.0.0.2", "10.0.0.2"],
  );
  assert.equal(
    pickAddress([], "ipv4", () => 0),
    undefined,
  );
});

test(`no more than ${MAX_HOSTS} hosts are kept: the one not asked for longest goes`, async () => {
  const { resolve, counted } = rig((type, name) => (type === "A" ? { answers: [addressRecord(name, "10.1.1.1")] } : {}));
  for (let i = 0; i <= MAX_HOSTS; i++) {
    await resolve("ipv4", `h${i}.example`);
    if (i === MAX_HOSTS - 1) await resolve("ipv4", "h0.example");
  }
  counted.splice(0);
  await resolve("ipv4", "h0.example");
  assert.deepEqual(counted, []);
  await resolve("ipv4", "h1.example");
  assert.deepEqual(counted, ["h1.example"]);
});
