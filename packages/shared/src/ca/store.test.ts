// Does every identity get one certificate in time, and does the old one serve while a new one cannot be had?

import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "../errors/mesh-error.ts";
import { type SpiffeId, spiffeId } from "../identity/spiffe.ts";
import { testAuthority, testClock } from "./fixture.ts";
import { createCertStore } from "./store.ts";
import type { IssuedCert } from "./types.ts";
import { workloadCert } from "./workload-cert.ts";

const id = (sa: string) => spiffeId("cluster.local", "ns", sa);
const a = id("a");
const HOUR = 3_600_000;

type Fetch = (id: SpiffeId, signal: AbortSignal) => Promise<IssuedCert>;
const setup = (t: { after(f: () => void): void }, own?: (issue: Fetch) => Fetch, maxConcurrent?: number) => {
  const clock = testClock();
  const authority = testAuthority(clock.now());
  const fetched: string[] = [];
  const issue: Fetch = async (who) => authority.issue(who, { notBefore: clock.now(), notAfter: clock.now() + HOUR });
  const fetch = own?.(issue) ?? issue;
  const logs: string[] = [];
  const facts: object[] = [];
  const store = createCertStore({
    world: clock,
    log: (event, fields) => {
      logs.push(event);
      facts.push(fields);
    },
    fetch: (who, signal) => {
      fetched.push(who.serviceAccount);
      return fetch(who, signal);
    },
    ...(maxConcurrent === undefined ? {} : { maxConcurrent }),
  });
  t.after(() => store.close());
  return { clock, authority, store, fetched, logs, facts };
};
const identityError = (pattern: RegExp) => (e: unknown) => e instanceof MeshError && e.code === "IDENTITY" && pattern.test(e.message);

test("one fetch for all who ask at once, and none while it is held", async (t) => {
  const { store, fetched } = setup(t);
  const [x, y] = await Promise.all([store.get(a), store.get(id("a"))]);
  assert.equal(x, y);
  assert.equal(await store.get(a), x);
  assert.equal(store.peek(a), x);
  assert.deepEqual(fetched, ["a"]);
  assert.deepEqual(
    store.snapshot().map((s) => [s.identity.uri, s.state]),
    [[a.uri, "Available"]],
  );
});

test("cache_refresh: renewed at half of its life; listeners hear of it", async (t) => {
  const { store, fetched, clock } = setup(t);
  const serials: string[] = [];
  store.onRenew((c) => serials.push(c.leaf.serial));
  const first = await store.get(a);
  await clock.advance(HOUR / 2 - 5000);
  assert.equal(fetched.length, 1);
  await clock.advance(10_000);
  assert.equal(fetched.length, 2);
  assert.notEqual(store.peek(a), first);
  assert.equal(new Set(serials).size, 2);
});

test("retention_on_refresh_failure: while renewals fail the old one serves until it expires, and not after", async (t) => {
  let down = false;
  const { store, clock, logs } = setup(t, (issue) => async (who, signal) => {
    if (down) throw new Error("UNAVAILABLE: nobody there");
    return issue(who, signal);
  });
  const first = await store.get(a);
  down = true;
  await clock.advance(HOUR - 10_000);
  assert.equal(await store.get(a), first);
  assert.ok(logs.length > 3 && logs.length < 60, `${logs.length} attempts`);
  await clock.advance(11_000);
  assert.equal(store.peek(a), undefined);
  await assert.rejects(store.get(a), identityError(/no certificate for spiffe:.*: UNAVAILABLE: nobody there/));
  assert.equal(store.snapshot()[0]?.state, "Unavailable");
  down = false;
  await clock.advance(150_000);
  assert.notEqual(store.peek(a), undefined);
});

test("after a failure it fails at once for a second, then a caller may try again without waiting for the backoff", async (t) => {
  let down = true;
  const { store, clock, fetched } = setup(t, (issue) => async (who, signal) => {
    if (down) throw new Error("no");
    return issue(who, signal);
  });
  await assert.rejects(store.get(a), identityError(/no/));
  await assert.rejects(store.get(a), identityError(/no/));
  assert.equal(fetched.length, 1);
  await clock.advance(20_000);
  const before = fetched.length;
  down = false;
  assert.ok(await store.get(a));
  assert.equal(fetched.length, before + 1);
});

test("a caller who gives up leaves the fetch to the others", async (t) => {
  const gate = Promise.withResolvers<void>();
  const { store } = setup(t, (issue) => async (who, signal) => {
    await gate.promise;
    return issue(who, signal);
  });
  const stop = new AbortController();
  const one = store.get(a, stop.signal);
  const two = store.get(a);
  stop.abort(new Error("gone"));
  await assert.rejects(one, /gone/);
  gate.resolve();
  assert.ok(await two);
});

test("priority: no more at once than allowed; those a connection waits for go first, then those warmed up", async (t) => {
  const gates: (() => void)[] = [];
  const { store, fetched, clock } = setup(
    t,
    (issue) => async (who, signal) => {
      await new Promise<void>((resolve) => gates.push(resolve));
      return issue(who, signal);
    },
    2,
  );
  for (const sa of ["w1", "w2", "w3", "w4"]) store.warm(id(sa));
  const urgent = store.get(id("u"));
  const raised = store.get(id("w4"));
  assert.deepEqual(fetched, ["w1", "w2"]);
  while (fetched.length < 5 || gates.length > 0) {
    gates.shift()?.();
    await clock.advance(0);
  }
  await Promise.all([urgent, raised]);
  assert.deepEqual(fetched.slice(0, 5), ["w1", "w2", "w4", "u", "w3"]);
});

test("forget: those who wait are told, nothing is renewed, and a later call starts anew", async (t) => {
  const seen: AbortSignal[] = [];
  const { store, clock, fetched } = setup(t, (issue) => async (who, signal) => {
    seen.push(signal);
    return issue(who, signal);
  });
  await store.get(a);
  store.forget(a);
  assert.equal(store.peek(a), undefined);
  assert.deepEqual(clock.sleepers(), []);
  const pending = store.get(a);
  store.forget(a);
  await assert.rejects(pending, identityError(/given up/));
  assert.equal(seen[1]?.aborted, true);
  assert.ok(await store.get(a));
  assert.equal(fetched.length, 3);
});

test("closed: no timers, no fetches, and callers are told", async (t) => {
  const { store, clock } = setup(t);
  await store.get(a);
  store.close();
  assert.deepEqual(clock.sleepers(), []);
  await assert.rejects(store.get(a), identityError(/closed/));
});

test("an answer that is not ours is refused", async (t) => {
  const { clock, authority } = setup(t);
  const now = clock.now();
  const other = authority.issue(id("b"));
  const good = authority.issue(a);
  const [leaf = "", root = ""] = good.certChain;
  const table: [string, IssuedCert, RegExp][] = [
    ["nothing", { ...good, certChain: [] }, /answered with 0 certificates/],
    ["no roots", { ...good, certChain: [leaf] }, /answered with 1 certificates/],
    ["another identity", other, /certificate for spiffe:\/\/cluster.local\/ns\/ns\/sa\/b, not for/],
    ["another key", { ...good, keyPem: other.keyPem }, /another key/],
    ["a leaf that is none", { ...good, certChain: ["x", root] }, /chain: the bundle has no certificate/],
    ["roots that are none", { ...good, certChain: [leaf, "x"] }, /roots: the bundle has no certificate/],
    ["a root as leaf", { ...good, certChain: [root, root] }, /no SPIFFE id/],
  ];
  for (const [name, issued, error] of table) {
    const r = workloadCert(a, issued);
    assert.match(r.ok ? "" : r.error, error, name);
  }
  const store = createCertStore({
    world: clock,
    log: () => undefined,
    fetch: async () => authority.issue(a, { notBefore: now - 2 * HOUR, notAfter: now - HOUR }),
  });
  await assert.rejects(store.get(a), identityError(/out of its time: the certificate expired/));
  store.close();
});

test("warmup: fetched before anybody asks, once, and kept fresh", async (t) => {
  const { store, fetched, clock } = setup(t);
  store.warm(a);
  store.warm(a);
  await clock.advance(0);
  assert.notEqual(store.peek(a), undefined);
  await clock.advance(HOUR / 2);
  assert.equal(fetched.length, 2);
});

test("backoff reset: after a success the next failure waits no longer than a first one", async (t) => {
  let down = true;
  const { store, clock, facts } = setup(t, (issue) => async (who, signal) => {
    if (down) throw new Error("no");
    return issue(who, signal);
  });
  store.warm(a);
  await clock.advance(63_000);
  assert.ok((clock.sleepers()[0] ?? 0) > 5_000, "it has backed off");
  down = false;
  await clock.advance(150_000);
  assert.notEqual(store.peek(a), undefined);
  down = true;
  await clock.advance(HOUR / 2);
  const failure = facts.find((f) => "stillValid" in f && f.stillValid === true);
  assert.deepEqual(
    failure !== undefined && "failures" in failure && "retryMs" in failure ? [failure.failures, failure.retryMs] : [],
    [1, 750],
  );
});

test("the controller gone for an hour: the last good one serves, its end is told in time, and the first answer brings all back", async (t) => {
  let down = false;
  const { store, clock, logs } = setup(t, (issue) => async (who, signal) => {
    if (down) throw new Error("UNAVAILABLE: nobody there");
    return issue(who, signal);
  });
  const others = ["b", "c"].map(id);
  for (const who of [a, ...others]) await store.get(who);
  await clock.advance(HOUR / 4);
  down = true;
  await clock.advance(HOUR / 4 + 1_000);
  assert.ok(logs.includes("certificate fetch failed"));
  assert.ok(!logs.some((l) => /overdue/.test(l)), "a first failure is no alarm");
  await clock.advance(HOUR / 4 + 150_000);
  assert.ok(logs.includes("certificate renewal overdue: failed for too long"));
  assert.notEqual(store.peek(a), undefined);
  await clock.advance(HOUR / 4);
  assert.equal(store.peek(a), undefined);
  assert.ok(logs.includes("certificate lost: it expired and could not be renewed"));
  await assert.rejects(store.get(a), identityError(/nobody there/));
  await clock.advance(HOUR / 4);
  down = false;
  await clock.advance(1_000);
  assert.ok(await store.get(a), "who needs it has it within the second");
  await clock.advance(0);
  for (const who of others) assert.notEqual(store.peek(who), undefined, "and so have the others, without their backoff");
});

test("our clock behind the CA's: said so, and the certificate taken when its time comes instead of asking without end", async (t) => {
  const { store, clock, fetched, facts } = setup(t, () => async (who) => {
    const at = clock.now() + 300_000;
    return testAuthority(clock.now()).issue(who, { notBefore: at, notAfter: at + HOUR });
  });
  await assert.rejects(store.get(a), identityError(/begins 5 min in our future; is this machine's clock behind the CA's/));
  assert.equal(store.peek(a), undefined);
  await clock.advance(300_000);
  assert.notEqual(store.peek(a), undefined);
  assert.ok(fetched.length < 15, `${fetched.length} fetches`);
  assert.ok(facts.length > 0);
});

test("our clock ahead of the CA's: said so; what is held still serves", async (t) => {
  let skewed = false;
  const { store, clock } = setup(t, (issue) => async (who, signal) => {
    if (!skewed) return issue(who, signal);
    return testAuthority(clock.now()).issue(who, { notBefore: clock.now() - 2 * HOUR, notAfter: clock.now() - HOUR });
  });
  const held = await store.get(a);
  skewed = true;
  await clock.advance(HOUR / 2 + 5_000);
  assert.equal(store.peek(a), held);
  assert.match(store.snapshot()[0]?.error ?? "", /ended 6\d min ago; is this machine's clock ahead of the CA's/);
});

test("wrong_identity, empty_chain and garbage: the last good one stays", async (t) => {
  const answers: ((who: SpiffeId) => IssuedCert)[] = [];
  const { store, clock } = setup(t, (issue) => async (who, signal) => answers[0]?.(who) ?? issue(who, signal));
  const held = await store.get(a);
  const good = testAuthority(clock.now()).issue(a);
  const wrong: [string, IssuedCert, RegExp][] = [
    ["wrong_identity", testAuthority(clock.now()).issue(id("b")), /not for spiffe:/],
    ["empty_chain", { ...good, certChain: [] }, /0 certificates/],
    ["garbage", { ...good, certChain: ["\u0000", "\uffff"] }, /chain/],
  ];
  for (const [name, answer, says] of wrong) {
    answers[0] = () => answer;
    store.renewAll(name);
    await clock.advance(5_000);
    assert.equal(store.peek(a), held, name);
    assert.match(store.snapshot()[0]?.error ?? "", says, name);
  }
});

test("renewAll: everybody anew within seconds, spread, while what is held serves", async (t) => {
  const { store, clock, fetched } = setup(t);
  const held = await Promise.all(["a", "b", "c"].map((sa) => store.get(id(sa))));
  store.renewAll("the roots have changed");
  assert.equal(store.peek(a), held[0]);
  await clock.advance(5_000);
  assert.equal(fetched.length, 6);
  for (const [i, sa] of ["a", "b", "c"].entries()) assert.notEqual(store.peek(id(sa)), held[i]);
});
