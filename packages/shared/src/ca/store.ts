// Which certificate does an identity have now, fetched once and renewed in time?

import { asMeshError, MeshError } from "../errors/mesh-error.ts";
import type { SpiffeId } from "../identity/spiffe.ts";
import type { World } from "../runtime/world.ts";
import type { TlsPolicy } from "../tls/policy.ts";
import { verifyTime } from "../tls/verify.ts";
import { isOverdue, moreUrgent, nextOf, renewAt, retryDelayMs, skewText, sleepTowards } from "./schedule.ts";
import type { CertState, CertStore, IssuedCert, Priority, WorkloadCert } from "./types.ts";
import { workloadCert } from "./workload-cert.ts";

export type CertStoreOptions = {
  readonly fetch: (id: SpiffeId, signal: AbortSignal) => Promise<IssuedCert>;
  readonly world: World;
  readonly log: (event: string, fields: object) => void;
  readonly maxConcurrent?: number;
  /** Under which peers are spoken with; the default where it is not told. */
  readonly tls?: TlsPolicy;
};

const MAX_CONCURRENT = 8;
/** A connection that waits may try again this soon after a failure, whatever the backoff says. */
const IMPATIENT_MS = 1_000;
/** When all are renewed at once, a node's requests are spread over this long, so that a fleet does not ask in one moment. */
const SPREAD_MS = 5_000;

type Fetching = { priority: Priority; readonly done: PromiseWithResolvers<WorkloadCert> };
type Entry = {
  readonly id: SpiffeId;
  cert: WorkloadCert | undefined;
  /** It came, and begins in our future: our clock is behind the CA's. It is taken when its time has come. */
  early: WorkloadCert | undefined;
  error: MeshError | undefined;
  failures: number;
  triedAt: number;
  /** Waiting in the queue or under way; undefined: asleep until the next renewal or retry. */
  fetching: Fetching | undefined;
  /** Ends the entry's sleep. */
  sleep: AbortController;
  readonly gone: AbortController;
};

/** Keeps one key and certificate per identity. A certificate is kept until it expires, whatever becomes of its renewals. */
export const createCertStore = (options: CertStoreOptions): CertStore => {
  const { world, log, fetch } = options;
  const limit = options.maxConcurrent ?? MAX_CONCURRENT;
  const entries = new Map<string, Entry>();
  const queue = new Map<Entry, Fetching>();
  const listeners = new Set<(cert: WorkloadCert) => void>();
  let active = 0;
  let closed = false;

  const usable = (e: Entry | undefined): WorkloadCert | undefined =>
    e?.cert !== undefined && verifyTime(e.cert, world.now()).ok ? e.cert : undefined;

  /** Fetches again when the time has come, unless something else wakes the entry before. */
  const sleepUntil = async (entry: Entry, time: number): Promise<void> => {
    entry.sleep.abort();
    const sleep = new AbortController();
    entry.sleep = sleep;
    const signal = AbortSignal.any([sleep.signal, entry.gone.signal]);
    while (world.now() < time) {
      const woke = await world.sleep(sleepTowards(time, world.now()), signal).then(
        () => true,
        () => false,
      );
      if (!woke) return;
    }
    if (signal.aborted) return;
    const { early } = entry;
    if (early !== undefined && verifyTime(early, world.now()).ok) succeed(entry, early);
    else void enqueue(entry, "Background");
  };

  const succeed = (entry: Entry, cert: WorkloadCert): void => {
    entry.cert = cert;
    entry.early = undefined;
    entry.error = undefined;
    entry.failures = 0;
    for (const listener of listeners) listener(cert);
    // The CA answers again: whoever it failed before need not wait any longer.
    const waits = (e: Entry): boolean => e.failures > 0 && e.early === undefined && e.fetching === undefined;
    for (const e of entries.values()) if (waits(e) && world.now() - e.triedAt >= IMPATIENT_MS) void enqueue(e, "Warmup");
    // A certificate that is past its half-life when it comes must not be asked for without end.
    void sleepUntil(entry, Math.max(renewAt(cert), world.now() + IMPATIENT_MS));
  };

  const fail = (entry: Entry, e: unknown): MeshError => {
    const error = new MeshError("IDENTITY", `no certificate for ${entry.id.uri}: ${asMeshError(e, "IDENTITY").message}`, e);
    const left = usable(entry);
    const wait = retryDelayMs(entry.failures, world.random, left === undefined ? undefined : left.notAfter - world.now());
    entry.error = error;
    entry.failures += 1;
    const facts = { identity: entry.id.uri, error: error.message, failures: entry.failures, retryMs: Math.round(wait) };
    log("certificate fetch failed", { ...facts, stillValid: left !== undefined });
    if (left !== undefined && isOverdue(left, world.now()))
      log("certificate renewal overdue: failed for too long", {
        ...facts,
        expiresInSeconds: Math.round((left.notAfter - world.now()) / 1000),
      });
    if (left === undefined && entry.cert !== undefined)
      log("certificate lost: it expired and could not be renewed", { ...facts, expired: new Date(entry.cert.notAfter).toISOString() });
    void sleepUntil(entry, entry.early === undefined ? world.now() + wait : Math.min(entry.early.notBefore, world.now() + wait));
    return error;
  };

  const run = async (entry: Entry, fetching: Fetching): Promise<void> => {
    entry.triedAt = world.now();
    try {
      const issued = workloadCert(entry.id, await fetch(entry.id, entry.gone.signal), options.tls);
      if (entry.gone.signal.aborted) throw entry.gone.signal.reason;
      if (!issued.ok) throw new MeshError("IDENTITY", issued.error);
      const time = verifyTime(issued.value, world.now());
      if (!time.ok) {
        // The next one would begin as late again: this one is kept until it begins.
        if (issued.value.notBefore > world.now()) entry.early ??= issued.value;
        throw new MeshError(
          "IDENTITY",
          `the CA answered with a certificate out of its time: ${time.error}${skewText(issued.value, world.now())}`,
        );
      }
      entry.fetching = undefined;
      succeed(entry, issued.value);
      fetching.done.resolve(issued.value);
    } catch (e) {
      entry.fetching = undefined;
      fetching.done.reject(entry.gone.signal.aborted ? entry.gone.signal.reason : fail(entry, e));
    }
  };

  const pump = (): void => {
    while (active < limit) {
      const next = nextOf([...queue].map(([entry, fetching]) => ({ entry, fetching, priority: fetching.priority })));
      if (next === undefined) return;
      queue.delete(next.entry);
      active += 1;
      void run(next.entry, next.fetching).finally(() => {
        active -= 1;
        pump();
      });
    }
  };

  const enqueue = (entry: Entry, priority: Priority): Promise<WorkloadCert> => {
    const held = entry.fetching;
    if (held !== undefined) {
      held.priority = moreUrgent(held.priority, priority);
      return held.done.promise;
    }
    entry.sleep.abort();
    const fetching: Fetching = { priority, done: Promise.withResolvers<WorkloadCert>() };
    // Nobody may be waiting; the failure is logged and kept in the entry.
    fetching.done.promise.catch(() => undefined);
    entry.fetching = fetching;
    queue.set(entry, fetching);
    pump();
    return fetching.done.promise;
  };

  const entryOf = (id: SpiffeId): Entry => {
    const held = entries.get(id.uri);
    if (held !== undefined) return held;
    const entry: Entry = {
      id,
      cert: undefined,
      early: undefined,
      error: undefined,
      failures: 0,
      triedAt: Number.NEGATIVE_INFINITY,
      fetching: undefined,
      sleep: new AbortController(),
      gone: new AbortController(),
    };
    entries.set(id.uri, entry);
    return entry;
  };

  const get: CertStore["get"] = async (id, signal) => {
    if (closed) throw new MeshError("IDENTITY", "the certificate store is closed");
    const entry = entryOf(id);
    const cert = usable(entry);
    if (cert !== undefined) return cert;
    const waits = entry.fetching === undefined && entry.error !== undefined && world.now() - entry.triedAt < IMPATIENT_MS;
    if (waits && entry.error !== undefined) throw entry.error;
    return unlessAborted(enqueue(entry, "RealTime"), signal);
  };

  const warm: CertStore["warm"] = (id) => {
    if (closed || entries.has(id.uri)) return;
    void enqueue(entryOf(id), "Warmup");
  };

  const renewAll: CertStore["renewAll"] = (why) => {
    log("certificates are renewed", { why, certificates: entries.size });
    for (const e of entries.values()) if (e.fetching === undefined) void sleepUntil(e, world.now() + world.random() * SPREAD_MS);
  };

  const forget: CertStore["forget"] = (id) => {
    const entry = entries.get(id.uri);
    if (entry === undefined) return;
    entries.delete(id.uri);
    const reason = new MeshError("IDENTITY", `the certificate of ${id.uri} was given up: nobody on this node uses it`);
    entry.gone.abort(reason);
    if (queue.delete(entry)) entry.fetching?.done.reject(reason);
  };

  const stateOf = (e: Entry): CertState => ({
    identity: e.id,
    state: usable(e) !== undefined ? "Available" : e.error !== undefined ? "Unavailable" : "Initializing",
    error: e.error?.message,
    cert: e.cert,
  });

  return {
    get,
    peek: (id) => usable(entries.get(id.uri)),
    warm,
    forget,
    renewAll,
    snapshot: () => [...entries.values()].map(stateOf),
    onRenew: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => {
      closed = true;
      for (const e of [...entries.values()]) forget(e.id);
    },
  };
};

const unlessAborted = <T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> => {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(asMeshError(signal.reason, "CLIENT_GONE"));
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
};
