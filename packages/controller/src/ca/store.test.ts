// Do all controllers sign with the CA that the Secrets hold, and does only the leader change it?

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { type TestContext, test } from "node:test";
import { testClock } from "@ambit/shared/ca/fixture.ts";
import { ANNOTATION, KEYS } from "@ambit/shared/ca/root-secret.ts";
import { createKubeClient } from "@ambit/shared/kube/client.ts";
import type { Secret } from "@ambit/shared/kube/objects/core.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { parseCrls, signedBy } from "@ambit/shared/tls/crl.ts";
import { createIntermediate, createRoot } from "@ambit/shared/tls/issue.ts";
import { startObjectServer } from "../kube/test/object-server.ts";
import { type CaStore, createCaStore } from "./store.ts";

const SECRETS = "/api/v1/secrets";
const KEY = "istio-system/istio-ca-secret";
const HOUR = 3_600_000;
const settings = {
  namespace: "istio-system",
  trustDomain: "cluster.local",
  rootLifetimeMs: 10_000 * HOUR,
  introduceMs: HOUR,
  retireMs: 2 * HOUR,
  gracePercent: 20,
};

const start = async (t: TestContext, before: readonly Secret[] = []) => {
  const server = await startObjectServer();
  for (const secret of before) server.put(SECRETS, secret);
  const clock = testClock();
  /** Decisions by the clock that stands still; watches and their retries by the real one. */
  const world: World = { ...clock, sleep: (ms, signal) => (ms >= 1_000 ? clock.sleep(ms, signal) : realWorld().sleep(ms, signal)) };
  const logs: string[] = [];
  const client = createKubeClient(server.config, realWorld());
  const stop = new AbortController();
  const running: Promise<unknown>[] = [];
  t.after(async () => {
    stop.abort(new Error("test over"));
    await Promise.all(running);
    await client.close();
    await server[Symbol.asyncDispose]();
  });
  const controller = async (over: Partial<typeof settings> = {}): Promise<CaStore> => {
    const store = await createCaStore(
      { client, world, log: (e, f) => void logs.push(`${e} ${JSON.stringify(f)}`) },
      { ...settings, ...over },
    );
    running.push(store.run(stop.signal));
    return store;
  };
  const lead = (store: CaStore): void => void running.push(store.rotate(stop.signal));
  const secret = (): Secret => (server.get(SECRETS, KEY) as Secret | undefined) ?? assert.fail("no Secret");
  const annotate = (annotations: Record<string, string>): void => {
    const { metadata, ...rest } = secret();
    server.put(SECRETS, { ...rest, metadata: { ...metadata, annotations: { ...metadata.annotations, ...annotations } } } as Secret);
  };
  return { server, clock, logs, controller, lead, secret, annotate, until: server.until };
};

/** Resolves when the store answers so, which is looked at whenever it has changed. */
const becomes = (store: CaStore, holds: () => boolean): Promise<void> =>
  new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("the CA did not become so within 5 s")), 5_000);
    const look = (): void => {
      if (!holds()) return;
      clearTimeout(late);
      off();
      resolve();
    };
    const off = store.onChange(look);
    look();
  });
const phase = (store: CaStore): string | undefined => store.current().root?.state.phase.kind;

test("the first controller makes the root, later ones read it; of two at once both end with the same", { timeout: 10_000 }, async (t) => {
  const { controller, secret, clock } = await start(t);
  const [a, b] = await Promise.all([controller(), controller()]);
  const c = await controller();
  const signers = [a, b, c].map((s) => s.current().authority.signer);
  assert.deepEqual(signers[0], signers[1]);
  assert.deepEqual(signers[0], signers[2]);
  assert.equal(secret().type, "istio.io/ca-root");
  assert.ok(a.current().authority.notAfter - clock.now() > 9_999 * HOUR);
});

test("a rotation that is asked for: both controllers go through it together, and no step is skipped", { timeout: 20_000 }, async (t) => {
  const { controller, lead, annotate, clock, secret } = await start(t);
  const [leader, follower] = [await controller(), await controller()];
  lead(leader);
  const first = leader.current().authority.signer.certPem;
  annotate({ [ANNOTATION.asked]: "please" });
  await Promise.all([leader, follower].map((s) => becomes(s, () => phase(s) === "introducing")));
  const both = follower.current().authority;
  assert.deepEqual([both.rootsPem.length, both.rootsPem[0], both.signer.certPem], [2, first, first]);
  assert.equal(both.notAfter, clock.now() + 3 * HOUR, "what the old root still signs ends with the trust in it");
  await clock.advance(HOUR);
  await Promise.all([leader, follower].map((s) => becomes(s, () => phase(s) === "retiring")));
  const switched = follower.current().authority;
  assert.notEqual(switched.signer.certPem, first);
  assert.deepEqual(switched.rootsPem, [switched.signer.certPem, first]);
  await clock.advance(2 * HOUR);
  await Promise.all([leader, follower].map((s) => becomes(s, () => phase(s) === "steady")));
  assert.deepEqual(follower.current().authority.rootsPem, [switched.signer.certPem]);
  assert.deepEqual(Object.keys(secret().data ?? {}).sort(), [KEYS.cert, KEYS.key, KEYS.roots]);
});

test("a root near its end is rotated without being asked", { timeout: 10_000 }, async (t) => {
  const { controller, lead, clock } = await start(t);
  const leader = await controller({ rootLifetimeMs: 100 * HOUR });
  lead(leader);
  await clock.advance(79 * HOUR);
  assert.equal(phase(leader), "steady");
  const rotating = becomes(leader, () => phase(leader) === "introducing");
  await clock.advance(2 * HOUR);
  await rotating;
});

test("a Secret that is spoiled while we run leaves the last good CA in force; a controller does not start with it", {
  timeout: 10_000,
}, async (t) => {
  const { server, controller, secret, logs } = await start(t);
  const store = await controller();
  const good = store.current().authority;
  server.put(SECRETS, { ...secret(), data: { ...secret().data, [KEYS.key]: "eA==" } } as Secret);
  const told = Promise.withResolvers<void>();
  const look = (): void => (logs.some((l) => /^ca refused .*is not a private key/.test(l)) ? told.resolve() : void setImmediate(look));
  look();
  await told.promise;
  assert.deepEqual(store.current().authority, good);
  await assert.rejects(controller(), /ca-key\.pem is not a private key/);
});

test("a CA that is brought (cacerts) is used, its list published, and a change of it followed", { timeout: 10_000 }, async (t) => {
  const now = Date.now();
  const span = { notBefore: now - HOUR, notAfter: now + 100 * HOUR };
  const root = createRoot({ ...span, organization: "corp" });
  const brought = (...extra: string[]): Secret => {
    const signer = createIntermediate(root, { ...span, organization: "corp", commonName: "istio" });
    const data = {
      "ca-cert.pem": signer.certPem,
      "ca-key.pem": signer.keyPem,
      "cert-chain.pem": signer.certPem,
      "root-cert.pem": [root.certPem, ...extra].join(""),
      "ca-crl.pem": "the list",
    };
    return {
      metadata: { namespace: "istio-system", name: "cacerts" },
      data: Object.fromEntries(Object.entries(data).map(([k, v]) => [k, Buffer.from(v).toString("base64")])),
    };
  };
  const { server, controller, lead } = await start(t, [brought()]);
  const store = await controller();
  lead(store);
  const { source, authority, crl, root: own } = store.current();
  assert.deepEqual(
    [source, authority.chainPem.length, authority.rootsPem, crl, own],
    ["cacerts", 1, [root.certPem], "the list", undefined],
  );
  assert.equal(server.get(SECRETS, KEY), undefined, "no root of our own is made beside it");
  const next = createRoot({ ...span, organization: "corp", commonName: "next" });
  server.put(SECRETS, brought(next.certPem));
  await becomes(store, () => store.current().authority.rootsPem.length === 2);
});

test("what is revoked is listed by every CA that may have signed it", { timeout: 10_000 }, async (t) => {
  const { server, controller, lead, annotate, secret } = await start(t);
  const store = await controller();
  lead(store);
  assert.equal(store.current().crl, undefined);
  const revoked = Buffer.from(JSON.stringify([{ serial: "0a0b", at: "2026-01-01T00:00:00Z" }])).toString("base64");
  server.put(SECRETS, { ...secret(), data: { ...secret().data, [KEYS.revoked]: revoked } } as Secret);
  await becomes(store, () => store.current().crl !== undefined);
  annotate({ [ANNOTATION.asked]: "please", [ANNOTATION.introduce]: "0s" });
  await becomes(store, () => phase(store) === "retiring");
  const { crl, authority } = store.current();
  const lists = unwrap(parseCrls(Buffer.from(crl ?? "")));
  assert.deepEqual(
    lists.map((l) => [...l.revoked]),
    [["A0B"], ["A0B"]],
  );
  for (const [i, pem] of authority.rootsPem.entries()) assert.ok(signedBy(lists[i] ?? assert.fail(), new X509Certificate(pem)));
});
