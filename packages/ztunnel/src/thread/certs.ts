// Which certificates does a data thread hold? (those of the pods it serves, as the control thread sends them)

import type { CertStore, IssuedCert, WorkloadCert } from "@ambit/shared/ca/types.ts";
import { workloadCert } from "@ambit/shared/ca/workload-cert.ts";
import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { TlsPolicy } from "@ambit/shared/tls/policy.ts";
import { verifyTime } from "@ambit/shared/tls/verify.ts";
import type { FromThread } from "./messages.ts";

/** The store of the control thread, seen from here. */
export type CertMirror = Pick<CertStore, "get" | "peek" | "warm" | "forget" | "onRenew"> & {
  /** What the control thread answers or renews. */
  arrived(identity: SpiffeId, issued: IssuedCert): void;
  failed(identity: SpiffeId, error: string): void;
};

export type CertMirrorOptions = {
  readonly tell: (message: Extract<FromThread, { kind: "want" | "forget" }>) => void;
  readonly world: Pick<World, "now">;
  /** Under which peers are spoken with. */
  readonly tls: TlsPolicy;
};

type Waiter = PromiseWithResolvers<WorkloadCert>;
type Entry = { cert: WorkloadCert | undefined; readonly waiters: Set<Waiter> };

export const createCertMirror = ({ tell, world, tls }: CertMirrorOptions): CertMirror => {
  const entries = new Map<string, Entry>();
  const listeners = new Set<(cert: WorkloadCert) => void>();

  const usable = (entry: Entry | undefined): WorkloadCert | undefined =>
    entry?.cert !== undefined && verifyTime(entry.cert, world.now()).ok ? entry.cert : undefined;

  const settle = (entry: Entry, settleOne: (waiter: Waiter) => void): void => {
    for (const waiter of entry.waiters) settleOne(waiter);
    entry.waiters.clear();
  };
  const fail = (entry: Entry, error: string): void => settle(entry, (w) => w.reject(new MeshError("IDENTITY", error)));

  const wait = (identity: SpiffeId, entry: Entry, signal: AbortSignal | undefined): Promise<WorkloadCert> => {
    const waiter: Waiter = Promise.withResolvers();
    const onAbort = (): void => {
      entry.waiters.delete(waiter);
      waiter.reject(signal?.reason);
    };
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    // All who wait share one question: the control thread answers it once.
    if (entry.waiters.size === 0) tell({ kind: "want", identity, urgent: true });
    entry.waiters.add(waiter);
    return waiter.promise.finally(() => signal?.removeEventListener("abort", onAbort));
  };

  return {
    get: (identity, signal) => {
      const entry = entries.get(identity.uri);
      if (entry === undefined)
        return Promise.reject(
          new MeshError("IDENTITY", `no certificate for ${identity.uri}: no pod that is served here has this identity`),
        );
      const cert = usable(entry);
      return cert === undefined ? wait(identity, entry, signal) : Promise.resolve(cert);
    },
    peek: (identity) => usable(entries.get(identity.uri)),
    warm: (identity) => {
      if (entries.has(identity.uri)) return;
      entries.set(identity.uri, { cert: undefined, waiters: new Set() });
      tell({ kind: "want", identity, urgent: false });
    },
    forget: (identity) => {
      const entry = entries.get(identity.uri);
      if (entry === undefined) return;
      entries.delete(identity.uri);
      fail(entry, `the certificate of ${identity.uri} was given up: no pod that is served here has this identity`);
      tell({ kind: "forget", identity });
    },
    onRenew: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    arrived: (identity, issued) => {
      const entry = entries.get(identity.uri);
      if (entry === undefined) return; // given up while it was on its way
      const cert = workloadCert(identity, issued, tls);
      if (!cert.ok) return fail(entry, cert.error);
      entry.cert = cert.value;
      settle(entry, (w) => w.resolve(cert.value));
      for (const listener of listeners) listener(cert.value);
    },
    failed: (identity, error) => {
      const entry = entries.get(identity.uri);
      if (entry !== undefined) fail(entry, error);
    },
  };
};
