// Do good lists replace each other, and bad ones nothing?

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { spiffeId } from "../identity/spiffe.ts";
import { unwrap } from "../runtime/result.ts";
import { realWorld } from "../runtime/run.ts";
import { createCrl } from "../tls/crl-issue.ts";
import { createKey, createRoot, issueLeaf } from "../tls/issue.ts";
import { readRevocationLists } from "./revocation-lists.ts";
import type { CertState } from "./types.ts";
import { followRevocationLists } from "./watch.ts";
import { workloadCert } from "./workload-cert.ts";

const HOUR = 3_600_000;
const now = Date.now();
const span = { notBefore: now - HOUR, notAfter: now + HOUR };
const root = createRoot({ ...span, organization: "test" });
const stranger = createRoot({ ...span, organization: "elsewhere" });
const identity = spiffeId("cluster.local", "ns", "a");
const { keyPem, publicKey } = createKey();
const cert = unwrap(
  workloadCert(identity, { keyPem, certChain: [issueLeaf(root, { ...span, publicKey, uris: [identity.uri] }), root.certPem] }),
);
const states: CertState[] = [{ identity, state: "Available", error: undefined, cert }];
const list = (ca: typeof root, over: object = {}): string =>
  createCrl(ca, { revoked: [{ serial: "0A", at: now }], number: 1, thisUpdate: now - HOUR, nextUpdate: now + HOUR, ...over });
/** The same text, signed with a key that is not the CA's. */
const forged = list({ certPem: root.certPem, keyPem: stranger.keyPem });

test("a list of a CA we know must be signed by it; of another it may be whose it likes", () => {
  const known = states.map((s) => s.cert?.rootsPem[0] ?? "").map((pem) => new X509Certificate(pem));
  const read = (text: string) => readRevocationLists(Buffer.from(text), known, now);
  assert.equal(unwrap(read(list(root) + list(stranger))).lists.length, 2);
  const refused = read(list(stranger) + forged);
  assert.equal(refused.ok ? "" : refused.error, "list 2 of 2 is not signed by the CA that it names");
  assert.match(unwrap(read(list(root, { nextUpdate: now - 1 }))).remarks[0] ?? "", /should have been replaced/);
  assert.match(unwrap(read(list(root, { thisUpdate: now + HOUR }))).remarks[0] ?? "", /clock behind/);
});

test("a broken file keeps the last good one and says so; a good one takes over", { timeout: 20_000 }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "ambit-crl-watch-"));
  const path = join(dir, "ca-crl.pem");
  const put = (text: string): void => {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  };
  const events: string[] = [];
  const waiting = new Set<() => void>();
  const said = (event: string): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!events.includes(event)) return;
        events.splice(0);
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  const given: string[] = [];
  const stop = new AbortController();
  const { done } = await followRevocationLists(
    {
      path,
      world: realWorld(),
      debounceMs: 20,
      certificates: () => states,
      onLists: (file) => void given.push(Buffer.from(file).toString()),
      log: (event) => {
        events.push(event);
        for (const look of waiting) look();
      },
    },
    stop.signal,
  );
  t.after(async () => {
    stop.abort();
    await done;
    rmSync(dir, { recursive: true });
  });
  await said("no revocation lists yet");
  put(list(root));
  await said("revocation lists loaded");
  put("rubbish");
  await said("revocation lists refused");
  put(forged);
  await said("revocation lists refused");
  rmSync(path);
  await said("revocation lists lost");
  put("");
  await said("revocation lists loaded");
  assert.deepEqual(
    given.map((g) => g.length > 0),
    [true, false],
  );
});
