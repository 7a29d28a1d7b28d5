// A certificate authority in memory (used by tests only).

import type { SpiffeId } from "../identity/spiffe.ts";
import { unwrap } from "../runtime/result.ts";
import { realWorld } from "../runtime/run.ts";
import type { World } from "../runtime/world.ts";
import { createKey, createRoot, issueLeaf, type Validity } from "../tls/issue.ts";
import type { IssuedCert, WorkloadCert } from "./types.ts";
import { workloadCert } from "./workload-cert.ts";

const HOUR = 3_600_000;

export type TestAuthority = {
  readonly rootPem: string;
  issue(id: SpiffeId, validity?: Partial<Validity>): IssuedCert;
  cert(id: SpiffeId, validity?: Partial<Validity>): WorkloadCert;
  /** For a server that is known by DNS name. */
  serving(dnsName: string): { readonly certPem: string; readonly keyPem: string };
};

export const testAuthority = (now: number = realWorld().now()): TestAuthority => {
  const validity = { notBefore: now - HOUR, notAfter: now + HOUR };
  const root = createRoot({ organization: "test", notBefore: now - 24 * HOUR, notAfter: now + 24 * HOUR });
  const issue: TestAuthority["issue"] = (id, own = {}) => {
    const { keyPem, publicKey } = createKey();
    return { keyPem, certChain: [issueLeaf(root, { publicKey, uris: [id.uri], ...validity, ...own }), root.certPem] };
  };
  return {
    rootPem: root.certPem,
    issue,
    cert: (id, own) => unwrap(workloadCert(id, issue(id, own))),
    serving: (dnsName) => {
      const { keyPem, publicKey } = createKey();
      return { keyPem, certPem: issueLeaf(root, { publicKey, uris: [], dnsNames: [dnsName], ...validity }) };
    },
  };
};

export type TestClock = World & {
  /** Moves time on, waking sleepers in order. */
  advance(ms: number): Promise<void>;
  /** How long those asleep still have, in order. */
  sleepers(): readonly number[];
};

/** Time that stands still until it is moved. */
export const testClock = (start: number = realWorld().now()): TestClock => {
  let now = start;
  const asleep = new Set<{ readonly at: number; wake(): void }>();
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return {
    now: () => now,
    random: () => 0.5,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const sleeper = { at: now + ms, wake: resolve };
        asleep.add(sleeper);
        signal?.addEventListener("abort", () => {
          if (asleep.delete(sleeper)) reject(signal.reason);
        });
      }),
    sleepers: () => [...asleep].map((s) => s.at - now).sort((a, b) => a - b),
    advance: async (ms) => {
      const end = now + ms;
      for (;;) {
        await settle();
        const next = [...asleep].sort((a, b) => a.at - b.at)[0];
        if (next === undefined || next.at > end) break;
        asleep.delete(next);
        now = Math.max(now, next.at);
        next.wake();
      }
      now = end;
      await settle();
    },
  };
};
