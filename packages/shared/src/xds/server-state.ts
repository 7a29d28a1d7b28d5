// What does a delta xDS server send on one stream, given what the client asked for, holds, and has acknowledged?

import type { DeltaRequest, DeltaResponse } from "../wire/types.ts";

export type XdsResource = { readonly version: string; readonly value: Uint8Array; readonly aliases?: readonly string[] };
export type Names = ReadonlySet<string> | "wildcard";
export type Changed = ReadonlySet<string> | "all";
/** The resources of a type that this client may have now: all, or those of the names that exist, keyed by their own names. */
export type Lookup = (typeUrl: string, names: Names) => ReadonlyMap<string, XdsResource>;

type TypeState = {
  wildcard: boolean;
  readonly names: Set<string>;
  /** What the client has been sent (or said that it holds), by name. */
  readonly held: Map<string, string>;
  /** Asked for since the last comparison: answered even when what is found was sent before, under another name. */
  readonly fresh: Set<string>;
  /** Asked for by name, and said not to exist. */
  readonly absent: Set<string>;
  /** Names to be compared with what the client holds. */
  changed: Set<string> | "all";
  /** Names to be taken back. */
  readonly gone: Set<string>;
  answered: boolean;
  /** The nonce of the response that is not acknowledged yet. */
  awaiting: string | undefined;
  lastNack: string | undefined;
};
/** Owned by one stream and changed in place: it holds a version per resource. */
export type StreamState = { readonly order: readonly string[]; readonly types: Map<string, TypeState>; nonce: number };

export const createStreamState = (order: readonly string[]): StreamState => ({ order, types: new Map(), nonce: 0 });

export type Heard =
  | { readonly kind: "request" }
  | { readonly kind: "ack" }
  | { readonly kind: "nack"; readonly message: string }
  | { readonly kind: "unknown-type" };

const begin = (r: DeltaRequest): TypeState => ({
  // No names at all is the wildcard (the first request only); "*" says the same aloud.
  wildcard: r.subscribe.length === 0,
  names: new Set(),
  held: new Map(r.initialVersions),
  fresh: new Set(),
  absent: new Set(),
  changed: "all",
  gone: new Set(),
  answered: false,
  awaiting: undefined,
  lastNack: undefined,
});

const resubscribe = (t: TypeState, r: DeltaRequest): void => {
  for (const name of r.subscribe) {
    if (name === "*") t.wildcard = true;
    else {
      t.names.add(name);
      t.fresh.add(name);
      t.absent.delete(name);
    }
  }
  for (const name of r.unsubscribe) {
    if (name === "*") t.wildcard = false;
    else {
      t.names.delete(name);
      t.absent.delete(name);
      if (!t.wildcard) t.held.delete(name);
    }
  }
  if (r.subscribe.length + r.unsubscribe.length > 0) t.changed = "all";
};

/** Takes a request in. What follows from it is sent by `flush`. */
export const hear = (state: StreamState, r: DeltaRequest): Heard => {
  if (!state.order.includes(r.typeUrl)) return { kind: "unknown-type" };
  const known = state.types.get(r.typeUrl);
  const t = known ?? begin(r);
  if (known === undefined) {
    state.types.set(r.typeUrl, t);
    resubscribe(t, r);
    // The first request also says what the client still holds: equal versions need no answer.
    t.fresh.clear();
    return { kind: "request" };
  }
  resubscribe(t, r);
  if (r.responseNonce === "" || r.responseNonce !== t.awaiting) return { kind: "request" };
  t.awaiting = undefined;
  if (r.error === undefined) return { kind: "ack" };
  // Not sent again until it changes: `held` says what was sent, not what was accepted.
  t.lastNack = r.error.message;
  return { kind: "nack", message: r.error.message };
};

/** Resources of the type may differ. */
export const markChanged = (state: StreamState, typeUrl: string, changed: Changed): void => {
  const t = state.types.get(typeUrl);
  if (t === undefined || t.changed === "all") return;
  if (changed === "all" || !t.wildcard) t.changed = "all";
  else for (const name of changed) t.changed.add(name);
};

const isChanged = (t: TypeState): boolean => t.changed === "all" || t.changed.size > 0;

/** The resources to send; what is to be taken back goes to `gone`. */
const compare = (typeUrl: string, t: TypeState, lookup: Lookup): [string, XdsResource][] => {
  const asked = t.changed === "all" ? (t.wildcard ? ("wildcard" as const) : t.names) : t.changed;
  const now = lookup(typeUrl, asked);
  const candidates = t.changed === "all" ? t.held.keys() : t.changed;
  for (const name of candidates) if (t.held.has(name) && !now.has(name)) t.gone.add(name);
  const found = new Set<string>();
  for (const [name, { aliases = [] }] of now) for (const n of [name, ...aliases]) found.add(n);
  for (const name of found) {
    t.gone.delete(name);
    t.absent.delete(name);
  }
  if (!t.wildcard) {
    for (const name of t.names) {
      if (found.has(name) || t.absent.has(name)) continue;
      t.absent.add(name);
      t.gone.add(name);
    }
  }
  const due = ([name, r]: [string, XdsResource]): boolean =>
    t.held.get(name) !== r.version || [name, ...(r.aliases ?? [])].some((n) => t.fresh.has(n));
  const resources = [...now].filter(due);
  t.changed = new Set();
  t.fresh.clear();
  return resources;
};

type Subscribed = readonly [typeUrl: string, state: TypeState];

const respond = (
  state: StreamState,
  [typeUrl, t]: Subscribed,
  { resources, removed }: { readonly resources: readonly [string, XdsResource][]; readonly removed: readonly string[] },
): DeltaResponse => {
  state.nonce += 1;
  const nonce = String(state.nonce);
  t.awaiting = nonce;
  t.answered = true;
  for (const [name, r] of resources) t.held.set(name, r.version);
  for (const name of removed) {
    t.held.delete(name);
    t.gone.delete(name);
  }
  return {
    typeUrl,
    nonce,
    systemVersion: "",
    resources: resources.map(([name, r]) => ({ name, version: r.version, value: r.value, aliases: r.aliases ?? [] })),
    removed,
  };
};

const subscribed = (state: StreamState): readonly Subscribed[] =>
  state.order.flatMap((typeUrl) => {
    const t = state.types.get(typeUrl);
    return t === undefined ? [] : [[typeUrl, t]];
  });

/**
 * What may be sent now: one unacknowledged response per type. New and changed resources go in the order of the types (a policy
 * before the workloads that name it), and are held back while an earlier type's wait; what is taken back goes in reverse order,
 * after every change (a policy after the workloads that no longer name it).
 */
export const flush = (state: StreamState, lookup: Lookup): DeltaResponse[] => {
  const out: DeltaResponse[] = [];
  const types = subscribed(state);
  for (const [i, subscription] of types.entries()) {
    const [typeUrl, t] = subscription;
    if (!isChanged(t)) continue;
    if (t.awaiting !== undefined) return out;
    const resources = compare(typeUrl, t, lookup);
    const last = i === types.length - 1;
    if (resources.length > 0 || !t.answered) out.push(respond(state, subscription, { resources, removed: last ? [...t.gone] : [] }));
  }
  for (const subscription of types.toReversed()) {
    const [, t] = subscription;
    if (t.gone.size === 0) continue;
    if (t.awaiting !== undefined) return out;
    out.push(respond(state, subscription, { resources: [], removed: [...t.gone] }));
  }
  return out;
};
