// What does the server send, and when does it wait?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { DeltaRequest, DeltaResponse } from "../wire/types.ts";
import { createStreamState, flush, hear, type Lookup, markChanged, type XdsResource } from "./server-state.ts";

type World = Record<string, Record<string, { version: string; aliases?: string[] }>>;
/** Looks names and aliases up in plain tables. */
const lookupIn =
  (world: World): Lookup =>
  (typeUrl, names) => {
    const all = Object.entries(world[typeUrl] ?? {}).map(([n, r]): [string, XdsResource] => [n, { ...r, value: Buffer.from(n) }]);
    return new Map(all.filter(([n, r]) => names === "wildcard" || names.has(n) || (r.aliases ?? []).some((a) => names.has(a))));
  };
const ask = (typeUrl: string, parts: Partial<DeltaRequest> = {}): DeltaRequest => ({
  typeUrl,
  subscribe: [],
  unsubscribe: [],
  initialVersions: new Map(),
  responseNonce: "",
  ...parts,
});
const ack = (r: DeltaResponse | undefined, error?: string): DeltaRequest =>
  ask(r?.typeUrl ?? "", { responseNonce: r?.nonce ?? "", ...(error === undefined ? {} : { error: { code: 3, message: error } }) });
const shown = (rs: DeltaResponse[]) =>
  rs.map((r) => ({
    typeUrl: r.typeUrl,
    resources: Object.fromEntries(r.resources.map((x) => [x.name, x.version])),
    removed: [...r.removed].sort(),
  }));
const setup = (world: World) => {
  const s = createStreamState(["P", "A"]);
  return { s, go: () => flush(s, lookupIn(world)) };
};

test("a wildcard gets everything, or an empty response when there is nothing", () => {
  const { s, go } = setup({ P: {}, A: { a: { version: "1" } } });
  hear(s, ask("P"));
  hear(s, ask("A"));
  assert.deepEqual(shown(go()), [
    { typeUrl: "P", resources: {}, removed: [] },
    { typeUrl: "A", resources: { a: "1" }, removed: [] },
  ]);
  assert.deepEqual(go(), []);
});

test("what the client holds in the same version is not sent, what is gone is taken back", () => {
  const { s, go } = setup({ A: { a: { version: "1" }, b: { version: "2" } } });
  hear(
    s,
    ask("A", {
      initialVersions: new Map([
        ["a", "1"],
        ["b", "1"],
        ["z", "1"],
      ]),
    }),
  );
  assert.deepEqual(shown(go()), [{ typeUrl: "A", resources: { b: "2" }, removed: ["z"] }]);
});

test("the next response of a type waits for the acknowledgement, and then says only the difference", () => {
  const world: World = { A: { a: { version: "1" } } };
  const { s, go } = setup(world);
  hear(s, ask("A"));
  const [first] = go();
  world.A = { a: { version: "2" } };
  markChanged(s, "A", new Set(["a"]));
  assert.deepEqual(go(), []);
  world.A = { a: { version: "3" }, b: { version: "1" } };
  markChanged(s, "A", new Set(["b"]));
  assert.deepEqual(hear(s, ack({ ...(first as DeltaResponse), nonce: "stale" })), { kind: "request" });
  assert.deepEqual(go(), []);
  assert.deepEqual(hear(s, ack(first)), { kind: "ack" });
  assert.deepEqual(shown(go()), [{ typeUrl: "A", resources: { a: "3", b: "1" }, removed: [] }]);
});

test("what was refused is not sent again until it changes", () => {
  const world: World = { A: { a: { version: "1" } } };
  const { s, go } = setup(world);
  hear(s, ask("A"));
  assert.deepEqual(hear(s, ack(go()[0], "a: bad")), { kind: "nack", message: "a: bad" });
  markChanged(s, "A", "all");
  assert.deepEqual(go(), []);
  world.A = { a: { version: "2" } };
  markChanged(s, "A", new Set(["a"]));
  assert.deepEqual(shown(go()), [{ typeUrl: "A", resources: { a: "2" }, removed: [] }]);
});

test("changes go in the order of types and wait for an earlier type; what is taken back goes last and in reverse", () => {
  const world: World = { P: { p: { version: "1" } }, A: { a: { version: "names p" } } };
  const { s, go } = setup(world);
  hear(s, ask("A"));
  hear(s, ask("P"));
  const [p1, a1] = go();
  assert.deepEqual([p1?.typeUrl, a1?.typeUrl], ["P", "A"]);
  // A second policy and a workload that names it, while P is not acknowledged.
  world.P = { p: { version: "1" }, q: { version: "1" } };
  world.A = { a: { version: "names p and q" } };
  markChanged(s, "A", "all");
  markChanged(s, "P", "all");
  hear(s, ack(a1));
  assert.deepEqual(go(), [], "the workload may not go before its policy");
  hear(s, ack(p1));
  const [p2, a2] = go();
  assert.deepEqual(shown([p2, a2] as DeltaResponse[]), [
    { typeUrl: "P", resources: { q: "1" }, removed: [] },
    { typeUrl: "A", resources: { a: "names p and q" }, removed: [] },
  ]);
  // Both policies go: the workload must stop naming them first.
  world.P = {};
  world.A = { a: { version: "names none" } };
  markChanged(s, "P", "all");
  markChanged(s, "A", "all");
  hear(s, ack(p2));
  assert.deepEqual(go(), [], "A is not acknowledged: its change cannot be sent, so P's removals wait");
  hear(s, ack(a2));
  assert.deepEqual(shown(go()), [
    { typeUrl: "A", resources: { a: "names none" }, removed: [] },
    { typeUrl: "P", resources: {}, removed: ["p", "q"] },
  ]);
});

test("a resource that comes back before its removal was sent is not taken back", () => {
  const world: World = { P: { p: { version: "1" } }, A: {} };
  const { s, go } = setup(world);
  hear(s, ask("P"));
  hear(s, ask("A"));
  const [p1, a1] = go();
  hear(s, ack(a1));
  world.P = {};
  markChanged(s, "P", "all");
  assert.deepEqual(go(), []);
  world.P = { p: { version: "1" } };
  markChanged(s, "P", "all");
  hear(s, ack(p1));
  assert.deepEqual(go(), []);
});

test("on demand: by name and by alias, absent ones are said to be absent once, and come when they exist", () => {
  const world: World = { A: { a: { version: "1", aliases: ["n/1"] } } };
  const { s, go } = setup(world);
  hear(s, ask("A", { subscribe: ["*"], unsubscribe: ["*"] }));
  const [empty] = go();
  assert.deepEqual(shown([empty as DeltaResponse]), [{ typeUrl: "A", resources: {}, removed: [] }]);
  hear(s, ack(empty));
  hear(s, ask("A", { subscribe: ["n/1", "n/2"] }));
  const [both] = go();
  assert.deepEqual(shown([both as DeltaResponse]), [{ typeUrl: "A", resources: { a: "1" }, removed: ["n/2"] }]);
  hear(s, ack(both));
  markChanged(s, "A", new Set(["whatever"]));
  assert.deepEqual(go(), []);
  world.A = { a: { version: "1", aliases: ["n/1"] }, b: { version: "1", aliases: ["n/2"] } };
  markChanged(s, "A", new Set(["b"]));
  const [b] = go();
  assert.deepEqual(shown([b as DeltaResponse]), [{ typeUrl: "A", resources: { b: "1" }, removed: [] }]);
  hear(s, ack(b));
  world.A = { a: { version: "1", aliases: ["n/1"] } };
  markChanged(s, "A", new Set(["b"]));
  assert.deepEqual(shown(go()), [{ typeUrl: "A", resources: {}, removed: ["b", "n/2"] }]);
});

test("a name asked for is answered even when it was sent before under another", () => {
  const { s, go } = setup({ A: { a: { version: "1", aliases: ["n/1", "n/2"] } } });
  hear(s, ask("A", { subscribe: ["n/1"] }));
  hear(s, ack(go()[0]));
  hear(s, ask("A", { subscribe: ["n/2"] }));
  assert.deepEqual(shown(go()), [{ typeUrl: "A", resources: { a: "1" }, removed: [] }]);
});

test("a reconnect on demand gets only what differs", () => {
  const { s, go } = setup({ A: { a: { version: "1", aliases: ["n/1"] }, b: { version: "2", aliases: ["n/2"] } } });
  hear(
    s,
    ask("A", {
      subscribe: ["*", "n/1", "n/2"],
      unsubscribe: ["*"],
      initialVersions: new Map([
        ["a", "1"],
        ["b", "1"],
        ["c", "1"],
      ]),
    }),
  );
  assert.deepEqual(shown(go()), [{ typeUrl: "A", resources: { b: "2" }, removed: ["c"] }]);
});

test("unsubscribed names are not sent any more", () => {
  const world: World = { A: { a: { version: "1" }, b: { version: "1" } } };
  const { s, go } = setup(world);
  hear(s, ask("A", { subscribe: ["a", "b"] }));
  hear(s, ack(go()[0]));
  hear(s, ask("A", { unsubscribe: ["a"] }));
  world.A = { a: { version: "2" }, b: { version: "2" } };
  markChanged(s, "A", "all");
  assert.deepEqual(shown(go()), [{ typeUrl: "A", resources: { b: "2" }, removed: [] }]);
});

test("a type that is not served changes nothing", () => {
  const { s, go } = setup({});
  assert.deepEqual(hear(s, ask("Z")), { kind: "unknown-type" });
  assert.deepEqual(go(), []);
});

test("whatever changes and whenever it is acknowledged, a wildcard client ends up with the server's state", () => {
  const step = fc.oneof(
    fc.record({
      do: fc.constant("set" as const),
      type: fc.constantFrom("P", "A"),
      name: fc.constantFrom("a", "b", "c"),
      version: fc.nat(3),
    }),
    fc.record({ do: fc.constant("delete" as const), type: fc.constantFrom("P", "A"), name: fc.constantFrom("a", "b", "c") }),
    fc.record({ do: fc.constant("ack" as const), nth: fc.nat(3) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const world: World = { P: {}, A: {} };
      const { s, go } = setup(world);
      const client: Record<string, Map<string, string>> = { P: new Map(), A: new Map() };
      const unacked: DeltaResponse[] = [];
      const deliver = (): void => {
        for (const r of go()) {
          assert.ok(
            unacked.every((u) => u.typeUrl !== r.typeUrl),
            "one response of a type at a time",
          );
          for (const x of r.resources) client[r.typeUrl]?.set(x.name, x.version);
          for (const n of r.removed) client[r.typeUrl]?.delete(n);
          unacked.push(r);
        }
      };
      const acknowledge = (at: number): void => {
        const [r] = unacked.splice(at, 1);
        if (r !== undefined) hear(s, ack(r));
        deliver();
      };
      hear(s, ask("P"));
      hear(s, ask("A"));
      deliver();
      for (const x of steps) {
        if (x.do === "ack") acknowledge(unacked.length === 0 ? 0 : x.nth % unacked.length);
        else {
          const table = world[x.type] ?? {};
          if (x.do === "set") table[x.name] = { version: String(x.version) };
          else delete table[x.name];
          markChanged(s, x.type, new Set([x.name]));
          deliver();
        }
      }
      while (unacked.length > 0) acknowledge(0);
      for (const type of ["P", "A"])
        assert.deepEqual(
          Object.fromEntries(client[type] ?? []),
          Object.fromEntries(Object.entries(world[type] ?? {}).map(([n, r]) => [n, r.version])),
        );
    }),
    { numRuns: 300 },
  );
});
