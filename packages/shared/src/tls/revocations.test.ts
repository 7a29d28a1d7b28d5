// Are peers refused by the lists of now, and is a file followed as Kubernetes replaces it?

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect, createServer, type TLSSocket } from "node:tls";
import { spiffeId } from "../identity/spiffe.ts";
import { unwrap } from "../runtime/result.ts";
import { realWorld } from "../runtime/run.ts";
import { parseCertificate } from "./certificate.ts";
import { contextOptions } from "./context.ts";
import { createCrl } from "./crl-issue.ts";
import { createIntermediate, createKey, createRoot, issueLeaf } from "./issue.ts";
import { peerChain } from "./peer-chain.ts";
import { createRevocations, type Reporter } from "./revocations.ts";
import { watchFile } from "./watch.ts";

const HOUR = 3_600_000;
const now = Date.now();
const span = { notBefore: now - HOUR, notAfter: now + HOUR };
const root = createRoot({ ...span, organization: "test" });
const between = createIntermediate(root, { ...span, organization: "test", commonName: "between" });
const materialOf = (account: string) => {
  const { keyPem, publicKey } = createKey();
  const leaf = issueLeaf(between, { ...span, publicKey, uris: [spiffeId("cluster.local", "ns", account).uri] });
  return { keyPem, chainPem: [leaf, between.certPem], rootsPem: [root.certPem] };
};
const list = (ca: typeof root, pem: string): Buffer =>
  Buffer.from(
    createCrl(ca, {
      revoked: [{ serial: unwrap(parseCertificate(pem)).serial, at: now }],
      number: 1,
      thisUpdate: now,
      nextUpdate: now + HOUR,
    }),
  );

test("the chain of a real handshake, both ways; leaf and intermediate refused once a list names them", { timeout: 10_000 }, async (t) => {
  const [server, client] = [materialOf("server"), materialOf("client")];
  const listener = createServer({ ...contextOptions(server), requestCert: true, rejectUnauthorized: true }).listen(0, "127.0.0.1");
  t.after(() => listener.close());
  await once(listener, "listening");
  const socket = connect({
    host: "127.0.0.1",
    port: (listener.address() as AddressInfo).port,
    ...contextOptions(client),
    checkServerIdentity: () => undefined,
  });
  const [accepted] = (await once(listener, "secureConnection")) as [TLSSocket];
  t.after(() => {
    socket.destroy();
    accepted.destroy();
  });
  const chains = { source: peerChain(socket), destination: peerChain(accepted) };
  assert.deepEqual([chains.source.length, chains.destination.length], [3, 3]);

  const counted: string[] = [];
  const revocations = createRevocations({
    rejected: (r) => void counted.push(`rejected ${r}`),
    untracked: (r) => void counted.push(`untracked ${r}`),
  });
  const codes = () => (["source", "destination"] as Reporter[]).map((r) => revocations.check(r).refuse(chains[r])?.code);
  assert.deepEqual(codes(), [undefined, undefined]);
  let changes = 0;
  const off = revocations.check("source").onChange(() => changes++);
  unwrap(revocations.load(list(between, client.chainPem[0] ?? "")));
  assert.deepEqual(codes(), [undefined, "CERT_REVOKED"]);
  unwrap(revocations.load(list(root, between.certPem)));
  assert.deepEqual(codes(), ["CERT_REVOKED", "CERT_REVOKED"]);
  assert.ok(!revocations.load(Buffer.from("garbage")).ok);
  assert.deepEqual(codes(), ["CERT_REVOKED", "CERT_REVOKED"], "a broken file changes nothing");
  assert.equal(changes, 2);
  off();
  unwrap(revocations.load(Buffer.alloc(0)));
  assert.deepEqual(codes(), [undefined, undefined]);
  assert.equal(changes, 2);
  assert.equal(revocations.check("source").refuse([]), undefined);
  assert.deepEqual(counted.slice(-1), ["untracked source"]);
  assert.equal(counted.filter((c) => c === "rejected destination").length, 3);
});

test("a file is followed through absence, directories renamed over it, and rubbish that settles", { timeout: 20_000 }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "ambit-watch-"));
  const stop = new AbortController();
  const told: (string | undefined)[] = [];
  const waiting = new Set<() => void>();
  const path = join(dir, "mount", "ca-crl.pem");
  const watching = await watchFile(
    {
      path,
      // A missing directory is looked for again at the poll: quicker here than in production.
      world: { ...realWorld(), sleep: (ms, signal) => realWorld().sleep(Math.min(ms, 50), signal) },
      onContent: (c) => {
        told.push(c?.toString());
        for (const wake of waiting) wake();
      },
      onError: (e) => assert.fail(e),
    },
    stop.signal,
  );
  t.after(async () => {
    stop.abort();
    await watching.done;
    rmSync(dir, { recursive: true });
  });
  const until = (content: string | undefined): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (told.at(-1) !== content) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  assert.deepEqual(told, [undefined]);
  // As the kubelet does: a directory with the data, a symbolic link to it, and links through that one.
  const version = (name: string, content: string): void => {
    mkdirSync(join(dir, "mount", name), { recursive: true });
    writeFileSync(join(dir, "mount", name, "ca-crl.pem"), content);
    symlinkSync(name, join(dir, "mount", "..tmp"));
    renameSync(join(dir, "mount", "..tmp"), join(dir, "mount", "..data"));
  };
  version("..1", "one");
  symlinkSync("..data/ca-crl.pem", path);
  await until("one");
  version("..2", "two");
  await until("two");
  rmSync(path);
  await until(undefined);
  assert.deepEqual(told, [undefined, "one", "two", undefined]);
});
