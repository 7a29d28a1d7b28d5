// Does a data thread hold the certificates of the pods it serves, and no others?

import assert from "node:assert/strict";
import { test } from "node:test";
import { createCertStore } from "@ambit/shared/ca/store.ts";
import type { IssuedCert } from "@ambit/shared/ca/types.ts";
import { type SpiffeId, spiffeId } from "@ambit/shared/identity/spiffe.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { DEFAULT_TLS } from "@ambit/shared/tls/policy.ts";
import { createTestCa, issue } from "../test/mesh.ts";
import { createCertFeed } from "./cert-feed.ts";
import { type CertMirror, createCertMirror } from "./certs.ts";

const world = realWorld();
const ca = createTestCa();
const [a, b] = ["a", "b"].map((account) => spiffeId("cluster.local", "ns", account)) as [SpiffeId, SpiffeId];

/** A control thread's store and two data threads' mirrors, joined by messages that arrive at once. */
const setup = (fetch: (id: SpiffeId) => Promise<IssuedCert> = async (id) => issue(ca, id)) => {
  const sent: string[] = [];
  const store = createCertStore({ fetch, world, log: () => undefined });
  const mirrors: CertMirror[] = [];
  const feed = createCertFeed(store, (thread, message) => {
    sent.push(`${message.kind} ${message.identity.serviceAccount} to ${thread}`);
    if (message.kind === "certificate") mirrors[thread]?.arrived(message.identity, message.issued);
    else mirrors[thread]?.failed(message.identity, message.error);
  });
  for (const thread of [0, 1]) mirrors.push(createCertMirror({ world, tls: DEFAULT_TLS, tell: (message) => feed.on(thread, message) }));
  const [one, two] = mirrors as [CertMirror, CertMirror];
  return {
    store,
    feed,
    one,
    two,
    sent,
    close: () => {
      feed.close();
      store.close();
    },
  };
};

test("a certificate goes to the threads that asked for it, and so does its renewal", async () => {
  const t = setup();
  t.one.warm(a);
  const cert = await t.one.get(a);
  assert.equal(cert.identity.uri, a.uri);
  assert.equal(t.one.peek(a), cert);
  assert.deepEqual([t.two.peek(a), t.one.peek(b)], [undefined, undefined]);
  t.two.warm(a);
  assert.equal(t.two.peek(a)?.keyPem, cert.keyPem);
  assert.deepEqual(t.sent, ["certificate a to 0", "certificate a to 1"]);
  t.close();
});

test("one that is not held for a pod is never asked for", async () => {
  const t = setup();
  await assert.rejects(t.one.get(a), /no pod that is served here has this identity/);
  assert.deepEqual(t.sent, []);
  t.close();
});

test("all who wait are told of a failure, and the next one asks again", async () => {
  let works = false;
  const t = setup(async (id) => {
    if (!works) throw new Error("the CA is away");
    return issue(ca, id);
  });
  t.one.warm(a);
  const waiting = [t.one.get(a), t.one.get(a)];
  for (const w of waiting) await assert.rejects(w, /no certificate for .*: the CA is away/);
  assert.deepEqual(t.sent, ["no-certificate a to 0"]);
  works = true;
  t.store.warm(a);
  t.close();
});

test("a forgotten certificate is neither kept nor renewed here", async () => {
  const t = setup();
  t.one.warm(a);
  await t.one.get(a);
  t.one.forget(a);
  assert.equal(t.one.peek(a), undefined);
  t.sent.length = 0;
  t.feed.gone(1);
  t.two.warm(b);
  await t.two.get(b);
  assert.deepEqual(t.sent, ["certificate b to 1"]);
  t.close();
});

test("who waits and gives up is told so, and the certificate still comes", async () => {
  const answer = Promise.withResolvers<IssuedCert>();
  const t = setup(() => answer.promise);
  t.one.warm(a);
  const gone = new AbortController();
  const waiting = t.one.get(a, gone.signal);
  gone.abort(new Error("the client has gone"));
  await assert.rejects(waiting, /the client has gone/);
  answer.resolve(issue(ca, a));
  assert.equal((await t.one.get(a)).identity.uri, a.uri);
  t.close();
});
