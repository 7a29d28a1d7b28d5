// Who is the mesh's CA now, and who becomes it? (Secrets cacerts and istio-ca-secret, followed; the leader rotates the root)

import { X509Certificate } from "node:crypto";
import { KEYS, ROOT_SECRET } from "@ambit/shared/ca/root-secret.ts";
import type { KubeClient } from "@ambit/shared/kube/client.ts";
import { isAlreadyExists, isConflict } from "@ambit/shared/kube/error.ts";
import type { Secret } from "@ambit/shared/kube/objects/core.ts";
import { createReflector } from "@ambit/shared/kube/reflector.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { err, mapOk, ok, type Result } from "@ambit/shared/runtime/result.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { createCrl } from "@ambit/shared/tls/crl-issue.ts";
import { createRoot } from "@ambit/shared/tls/issue.ts";
import { type Authority, pluggedAuthority, rootsText } from "./authority.ts";
import { readRevoked, readRootState, refusedWish, withRootState } from "./root-secret.ts";
import { type NewRoot, nextStepAt, type RootState, type RotationSettings, rotationStep, trustedRoots } from "./rotation.ts";

export type CaSettings = RotationSettings & { readonly namespace: string; readonly trustDomain: string; readonly rootLifetimeMs: number };

export type CaState = {
  readonly authority: Authority;
  /** Where it comes from. */
  readonly source: "cacerts" | "istio-ca-secret";
  /** The revocation lists to publish, PEM; undefined: none. */
  readonly crl: string | undefined;
  /** What a leader may rotate: only a root that is our own. */
  readonly root: { readonly secret: Secret; readonly state: RootState } | undefined;
};

export type CaStore = {
  current(): CaState;
  /** Called when `current` answers something new; returns the unsubscribe. */
  onChange(listener: () => void): () => void;
  /** Follows the Secrets until the signal aborts: whoever changes them, every controller signs alike. */
  run(signal: AbortSignal): Promise<void>;
  /** Takes the steps of a rotation when they are due. For the leader alone. */
  rotate(signal: AbortSignal): Promise<void>;
};

export type CaStoreDeps = {
  readonly client: Pick<KubeClient, "get" | "create" | "update" | "list" | "raw">;
  readonly world: World;
  readonly log: (event: string, fields: object) => void;
};

export const PLUGGED_SECRET = "cacerts";
const CRL_KEY = "ca-crl.pem";
const BACKDATE_MS = 120_000;
const DAY_MS = 24 * 3_600_000;
/** How long a list may be used before a new one should be there; it is made anew at every change and every day. */
const CRL_LIFETIME_MS = 7 * DAY_MS;
const LOOK_MS = 3_600_000;

const textOf = (secret: Secret, key: string): string => Buffer.from(secret.data?.[key] ?? "", "base64").toString("utf8");

/** The CA that an operator brings. */
export const readPlugged = (secret: Secret, now: number): Result<CaState> => {
  const where = `Secret ${secret.metadata.namespace}/${secret.metadata.name}`;
  const missing = ["ca-cert.pem", "ca-key.pem", "root-cert.pem"].find((key) => textOf(secret, key) === "");
  if (missing !== undefined) return err(`${where} lacks ${missing}`);
  const authority = pluggedAuthority(
    {
      caCert: textOf(secret, "ca-cert.pem"),
      caKey: textOf(secret, "ca-key.pem"),
      certChain: textOf(secret, "cert-chain.pem"),
      rootCert: textOf(secret, "root-cert.pem"),
    },
    now,
  );
  const crl = textOf(secret, CRL_KEY);
  return authority.ok
    ? ok({ authority: authority.value, source: "cacerts", crl: crl === "" ? undefined : crl, root: undefined })
    : err(`${where}: ${authority.error}`);
};

/** The lists of the CA that signs, and of the one that did or will. */
const ownCrl = (secret: Secret, state: RootState, now: number): Result<string | undefined> =>
  mapOk(readRevoked(secret), (revoked) => {
    if (secret.data?.[KEYS.revoked] === undefined) return undefined;
    const { phase } = state;
    const other = phase.kind === "introducing" ? [phase.next] : phase.kind === "retiring" ? [phase.old] : [];
    const request = { revoked, number: Math.floor(now / 1000), thisUpdate: now - BACKDATE_MS, nextUpdate: now + CRL_LIFETIME_MS };
    return [state.signer, ...other].map((ca) => createCrl(ca, request)).join("");
  });

/** The CA of our own root. */
export const readOwn = (secret: Secret, at: { readonly now: number; readonly retireMs: number }): Result<CaState> => {
  const state = readRootState(secret, at.now);
  if (!state.ok) return state;
  const { signer, notAfter, phase, retireMs } = state.value;
  const crl = ownCrl(secret, state.value, at.now);
  if (!crl.ok) return err(`Secret ${secret.metadata.namespace}/${secret.metadata.name}: ${crl.error}`);
  // What the old root signs while the new one is introduced must not outlive the trust in it.
  const dropped = phase.kind === "introducing" ? phase.until + (retireMs ?? at.retireMs) : Number.POSITIVE_INFINITY;
  const authority = { signer, chainPem: [], rootsPem: trustedRoots(state.value), notAfter: Math.min(notAfter, dropped) };
  return ok({ authority, source: "istio-ca-secret", crl: crl.value, root: { secret, state: state.value } });
};

const newRoot = (settings: CaSettings, now: number): NewRoot => {
  const validity = { notBefore: now - BACKDATE_MS, notAfter: now + settings.rootLifetimeMs };
  return { ...createRoot({ ...validity, organization: settings.trustDomain }), ...validity };
};

/** Our root's Secret; made first if there is none. Of several controllers that start at once, all end with the same root. */
const loadOrCreateRoot = async ({ client, world }: CaStoreDeps, settings: CaSettings): Promise<Secret> => {
  const key = { namespace: settings.namespace, name: ROOT_SECRET };
  const there = await client.get<Secret>(RESOURCES.secrets, key);
  if (there !== undefined) return there;
  const { certPem, keyPem, notBefore, notAfter } = newRoot(settings, world.now());
  const state: RootState = {
    signer: { certPem, keyPem },
    notBefore,
    notAfter,
    phase: { kind: "steady" },
    asked: "",
    answered: "",
    introduceMs: undefined,
    retireMs: undefined,
  };
  try {
    return await client.create<Secret>(RESOURCES.secrets, withRootState({ metadata: key, type: "istio.io/ca-root" }, state));
  } catch (cause) {
    if (!isAlreadyExists(cause)) throw cause;
    const theirs = await client.get<Secret>(RESOURCES.secrets, key);
    if (theirs === undefined) throw new Error(`Secret ${key.namespace}/${key.name} was made and removed while we looked`, { cause });
    return theirs;
  }
};

const same = (a: CaState, b: CaState): boolean =>
  a.authority.signer.certPem === b.authority.signer.certPem &&
  a.authority.signer.keyPem === b.authority.signer.keyPem &&
  rootsText(a.authority) === rootsText(b.authority) &&
  a.authority.chainPem.join() === b.authority.chainPem.join() &&
  a.authority.notAfter === b.authority.notAfter &&
  JSON.stringify(a.root?.secret.data) === JSON.stringify(b.root?.secret.data) &&
  (a.root !== undefined || a.crl === b.crl);

const facts = ({ authority, source, root }: CaState): object => {
  const { serialNumber } = new X509Certificate(authority.signer.certPem);
  return { source, signer: serialNumber, roots: authority.rootsPem.length, phase: root?.state.phase.kind ?? "plugged in" };
};

/** Reads the CA, or makes it. Throws a sentence when there is one that cannot be used. */
export const createCaStore = async (deps: CaStoreDeps, settings: CaSettings): Promise<CaStore> => {
  const { client, world, log } = deps;
  const { namespace } = settings;
  const read = (secret: Secret): Result<CaState> =>
    secret.metadata.name === PLUGGED_SECRET
      ? readPlugged(secret, world.now())
      : readOwn(secret, { now: world.now(), retireMs: settings.retireMs });
  const plugged = await client.get<Secret>(RESOURCES.secrets, { namespace, name: PLUGGED_SECRET });
  const first = read(plugged ?? (await loadOrCreateRoot(deps, settings)));
  if (!first.ok) throw new Error(first.error);
  let state = first.value;
  let listedAt = world.now();
  /** Ends the leader's sleep. */
  let wakeUp = new AbortController();
  const listeners = new Set<() => void>();
  const tell = (): void => {
    for (const listener of [...listeners]) listener();
  };

  /** The next state, unless it cannot be read: then the last good one stays. */
  const take = (secret: Secret): void => {
    const next = read(secret);
    if (!next.ok) {
      log("ca refused", { error: next.error, result: "the CA that is held stays in force" });
      return;
    }
    const wish = next.value.root === undefined ? undefined : refusedWish(next.value.root.secret);
    if (wish !== undefined) log("root rotation refused", { error: wish });
    const changed = !same(state, next.value);
    const disjoint = changed && !next.value.authority.rootsPem.some((r) => state.authority.rootsPem.includes(r));
    state = next.value;
    if (disjoint)
      log("ca changed without an overlap of roots: certificates of the old one will be refused until they are renewed", facts(state));
    else if (changed) log("ca changed", facts(state));
    if (changed) {
      listedAt = world.now();
      tell();
    }
    wakeUp.abort();
  };

  const run: CaStore["run"] = async (signal) => {
    const follow = (name: string) =>
      createReflector<Secret>({ client, resource: RESOURCES.secrets, namespace, fieldSelector: `metadata.name=${name}`, world, log });
    const [brought, own] = [follow(PLUGGED_SECRET), follow(ROOT_SECRET)];
    const look = (): void => {
      if (!brought.hasSynced() || !own.hasSynced()) return;
      const secret = brought.get(`${namespace}/${PLUGGED_SECRET}`) ?? own.get(`${namespace}/${ROOT_SECRET}`);
      if (secret !== undefined) take(secret);
      else log("ca lost", { error: `neither ${PLUGGED_SECRET} nor ${ROOT_SECRET} is there`, result: "the CA that is held stays in force" });
    };
    const running = [brought.run(signal), own.run(signal)];
    await Promise.all([brought.synced(signal), own.synced(signal)]).catch((cause: unknown) => {
      if (!signal.aborted) throw cause;
    });
    for (const reflector of [brought, own]) reflector.subscribe(look);
    await Promise.all(running);
  };

  /** One step if one is due; true when something was written. */
  const step = async (): Promise<boolean> => {
    const { root } = state;
    if (root === undefined) return false;
    const due = rotationStep(root.state, { now: world.now(), settings, makeRoot: () => newRoot(settings, world.now()) });
    if (due === undefined) return false;
    const to = due.state.phase;
    const until = to.kind === "steady" ? undefined : new Date(to.until).toISOString();
    try {
      take(await client.update<Secret>(RESOURCES.secrets, withRootState(root.secret, due.state)));
      log("root rotation", { phase: to.kind, why: due.why, until });
      return true;
    } catch (cause) {
      // Somebody else wrote it: the watch brings what, and we look again.
      if (!isConflict(cause))
        log("root rotation failed", { phase: to.kind, error: cause instanceof Error ? cause.message : String(cause) });
      return false;
    }
  };

  /** Lists say until when they may be used: made anew long before. */
  const renewLists = (): void => {
    if (state.root === undefined || state.crl === undefined || world.now() - listedAt < DAY_MS) return;
    const again = read(state.root.secret);
    if (!again.ok) return;
    state = again.value;
    listedAt = world.now();
    tell();
  };

  const rotate: CaStore["rotate"] = async (signal) => {
    while (!signal.aborted) {
      wakeUp = new AbortController();
      if (await step()) continue;
      renewLists();
      const due = state.root === undefined ? LOOK_MS : nextStepAt(state.root.state, settings) - world.now();
      // Not at once again after a failure, and now and then in any case.
      const wait = Math.min(LOOK_MS, Math.max(due, 1_000));
      await world.sleep(wait, AbortSignal.any([signal, wakeUp.signal])).catch(() => undefined); // woken, or over
    }
  };

  return {
    current: () => state,
    onChange: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    run,
    rotate,
  };
};
