// Do data threads know what the control thread was told, whenever they begin to listen?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Policy } from "@ambit/shared/authz/types.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { aPort, aService, aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import type { MeshStore } from "@ambit/shared/state/store.ts";
import { serviceKey } from "@ambit/shared/state/types.ts";
import { encodeAddress } from "@ambit/shared/wire/address.ts";
import { encodeAuthorization } from "@ambit/shared/wire/authorization.ts";
import { ADDRESS_TYPE, type Address, AUTHORIZATION_TYPE, addressName } from "@ambit/shared/wire/types.ts";
import fc from "fast-check";
import { createStateFeed } from "./feed.ts";
import { createMeshMirror } from "./mirror.ts";
import { pack, unpack } from "./packed.ts";
import type { StateMessage } from "./slice.ts";

const upsert = (a: Address) => ({ name: addressName(a), version: "1", value: encodeAddress(a), aliases: [] });
const workload = (name: string, over: Parameters<typeof aWorkload>[2] = {}): Address => ({
  kind: "workload",
  workload: aWorkload(name, "10.0.0.1", over),
});

const setup = () => {
  const feed = createStateFeed();
  const apply = (typeUrl: string) => {
    const type = feed.types.find((t) => t.typeUrl === typeUrl);
    assert.ok(type !== undefined);
    return type.apply;
  };
  /** A thread on the other side of a message channel. */
  const thread = () => {
    const mirror = createMeshMirror();
    const messages: StateMessage[] = [];
    const off = feed.subscribe((m) => {
      messages.push(m);
      mirror.apply(structuredClone(m));
    });
    return { ...mirror, messages, off };
  };
  return { feed, addresses: apply(ADDRESS_TYPE), policies: apply(AUTHORIZATION_TYPE), thread };
};

const state = (s: MeshStore) => ({
  workloads: [...s.workloads()].sort((a, b) => (a.uid < b.uid ? -1 : 1)),
  services: [...s.services()].sort((a, b) => (serviceKey(a) < serviceKey(b) ? -1 : 1)),
  policies: [...s.policies()],
  refused: s.view.refusedForNamespace("ns"),
});

test("a thread that was there, one that came later, and the snapshot know the same", () => {
  const t = setup();
  const early = t.thread();
  const svc = aService("s", "10.1.0.1");
  const many = Array.from({ length: 300 }, (_, i) => workload(`w${i}`, { services: { [serviceKey(svc)]: [aPort(80, 8080)] } }));
  assert.deepEqual(t.addresses({ upserts: [...many, { kind: "service", service: svc } as const].map(upsert), removed: [] }).rejected, []);
  t.addresses({ upserts: [upsert(workload("w1", { node: "other" }))], removed: ["Kubernetes//Pod/ns/w0"] });
  const late = t.thread();
  assert.deepEqual(state(late.store), state(early.store));
  assert.deepEqual(state(t.feed.snapshot()), state(early.store));
  assert.equal(late.view.endpoints(serviceKey(svc)).length, 298);
  assert.equal(early.view.workload("Kubernetes//Pod/ns/w1")?.node, "other");
});

test("a large change comes in slices: services first, the last one says so", () => {
  const t = setup();
  const { messages } = t.thread();
  messages.length = 0;
  const many = Array.from({ length: 200 }, (_, i) => workload(`w${i}`));
  t.addresses({ upserts: [...many, { kind: "service", service: aService("s", "") } as const].map(upsert), removed: ["gone"] });
  assert.deepEqual(
    messages.map((m) => ({ last: m.last, removed: m.removed, count: unpack(m.addresses).length })),
    [
      { last: false, removed: ["gone"], count: 128 },
      { last: true, removed: [], count: 73 },
    ],
  );
});

test("what cannot be read, or is not what it is called, is refused and not sent on", () => {
  const t = setup();
  const { store } = t.thread();
  const good = upsert(workload("good"));
  const { rejected } = t.addresses({
    upserts: [{ ...good, name: "other" }, { ...good, name: "bad", value: Uint8Array.of(9, 9) }, good],
    removed: [],
  });
  assert.deepEqual(rejected.map((r) => r.name).sort(), ["bad", "other"]);
  assert.deepEqual(
    [...store.workloads()].map((w) => w.name),
    ["good"],
  );
});

test("policies are told as they stand: held, refused with nothing to fall back on, or gone", () => {
  const t = setup();
  const early = t.thread();
  const policy: Policy = { namespace: "ns", name: "p", scope: "NAMESPACE", action: "DENY", dryRun: false, rules: [] };
  const good = unwrap(encodeAuthorization(policy));
  const newer = Buffer.concat([good, Buffer.from("c20c03616263", "hex")]);
  const send = (value: Uint8Array) => t.policies({ upserts: [{ name: "ns/p", version: "1", value, aliases: [] }], removed: [] });
  const known = () =>
    [early, t.thread()].map(({ store }) => ({ held: [...store.policies()].length, refused: store.view.refusedForNamespace("ns") }));
  send(newer);
  assert.deepEqual(known(), [
    { held: 0, refused: ["ns/p"] },
    { held: 0, refused: ["ns/p"] },
  ]);
  send(good);
  send(newer);
  assert.deepEqual(known(), [
    { held: 1, refused: [] },
    { held: 1, refused: [] },
  ]);
  t.policies({ upserts: [], removed: ["ns/p"] });
  assert.deepEqual(known(), [
    { held: 0, refused: [] },
    { held: 0, refused: [] },
  ]);
});

test("who has unsubscribed is told nothing more", () => {
  const t = setup();
  const thread = t.thread();
  thread.off();
  t.addresses({ upserts: [upsert(workload("w"))], removed: [] });
  assert.equal(thread.view.workloadByAddress("", ip("10.0.0.1")), undefined);
});

test("what is unpacked is what was packed", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 10 }), (parts) => {
      assert.deepEqual(unpack(pack(parts)), parts);
    }),
  );
});
