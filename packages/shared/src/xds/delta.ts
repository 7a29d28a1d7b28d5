// What does a delta xDS client say, given what it was told? (Envoy's incremental xDS; ambient-l4 section 3.3)

import type { DeltaRequest, DeltaResponse, Node } from "../wire/types.ts";

export type Subscription = "wildcard" | "on-demand";
export type Rejection = { readonly name: string; readonly reason: string };

type TypeState = {
  readonly typeUrl: string;
  readonly subscribe: Subscription;
  /** On-demand: the names asked for, which may be aliases. */
  readonly wanted: Set<string>;
  /** Those of them that the server said not to exist: asked for again when somebody wants them again. */
  readonly absent: Set<string>;
  /**
   * The version of every resource that was applied and not removed since; outlives the stream. "" is one that was only ever
   * refused: naming it makes the server send it again, or say that it is gone, also when that happened between two streams.
   */
  readonly held: Map<string, string>;
  synced: boolean;
};
/** Owned by one client and changed in place by `advance`: a copy of all versions for each response would cost more than the response. */
export type DeltaState = { readonly node: Node; readonly types: ReadonlyMap<string, TypeState>; connected: boolean };

export type DeltaEvent =
  | { readonly type: "connected" }
  | { readonly type: "disconnected" }
  /** A response, after it was applied: `rejected` are the resources that were not. */
  | { readonly type: "response"; readonly response: DeltaResponse; readonly rejected: readonly Rejection[] }
  | { readonly type: "subscribe" | "unsubscribe"; readonly typeUrl: string; readonly names: readonly string[] };

const INVALID_ARGUMENT = 3;

export const createDeltaState = (
  node: Node,
  types: readonly { readonly typeUrl: string; readonly subscribe: Subscription }[],
): DeltaState => ({
  node,
  connected: false,
  types: new Map(types.map((t) => [t.typeUrl, { ...t, wanted: new Set(), absent: new Set(), held: new Map(), synced: false }])),
});

const request = (typeUrl: string, parts: Partial<DeltaRequest>): DeltaRequest => ({
  typeUrl,
  subscribe: [],
  unsubscribe: [],
  initialVersions: new Map(),
  responseNonce: "",
  ...parts,
});

/** The first request of a type on a stream. Delta xDS has no way to ask for nothing: "*" is subscribed and given up in one message. */
const firstRequest = (t: TypeState): DeltaRequest => {
  const initialVersions = new Map(t.held);
  return t.subscribe === "wildcard"
    ? request(t.typeUrl, { initialVersions })
    : request(t.typeUrl, { initialVersions, subscribe: ["*", ...t.wanted], unsubscribe: ["*"] });
};

const onConnected = (state: DeltaState): DeltaRequest[] => {
  state.connected = true;
  return [...state.types.values()].map((t, i) => (i === 0 ? { ...firstRequest(t), node: state.node } : firstRequest(t)));
};

const onResponse = (state: DeltaState, r: DeltaResponse, rejected: readonly Rejection[]): DeltaRequest[] => {
  const t = state.types.get(r.typeUrl);
  if (t === undefined) {
    const error = { code: INVALID_ARGUMENT, message: `${r.typeUrl} was not asked for` };
    return [request(r.typeUrl, { responseNonce: r.nonce, error })];
  }
  const bad = new Set(rejected.map((x) => x.name));
  // What was refused leaves the version that is still held, so the next stream is told the truth.
  for (const x of r.resources) if (!bad.has(x.name) || !t.held.has(x.name)) t.held.set(x.name, bad.has(x.name) ? "" : x.version);
  for (const x of r.resources) for (const name of [x.name, ...x.aliases]) t.absent.delete(name);
  for (const name of r.removed) {
    t.held.delete(name);
    if (t.wanted.has(name)) t.absent.add(name);
  }
  t.synced = true;
  const message = rejected.map((x) => `${x.name}: ${x.reason}`).join("; ");
  return [request(r.typeUrl, { responseNonce: r.nonce, ...(rejected.length === 0 ? {} : { error: { code: INVALID_ARGUMENT, message } }) })];
};

const onSubscribe = (state: DeltaState, typeUrl: string, names: readonly string[]): DeltaRequest[] => {
  const t = state.types.get(typeUrl);
  if (t === undefined || t.subscribe === "wildcard") return [];
  const fresh = [...new Set(names)].filter((n) => !t.wanted.has(n) || t.absent.delete(n));
  for (const n of fresh) t.wanted.add(n);
  return state.connected && fresh.length > 0 ? [request(typeUrl, { subscribe: fresh })] : [];
};

const onUnsubscribe = (state: DeltaState, typeUrl: string, names: readonly string[]): DeltaRequest[] => {
  const t = state.types.get(typeUrl);
  if (t === undefined || t.subscribe === "wildcard") return [];
  const gone = [...new Set(names)].filter((n) => t.wanted.delete(n));
  for (const n of gone) {
    t.held.delete(n);
    t.absent.delete(n);
  }
  return state.connected && gone.length > 0 ? [request(typeUrl, { unsubscribe: gone })] : [];
};

/** Takes the event in and answers with what to send now, in order. */
export const advance = (state: DeltaState, event: DeltaEvent): DeltaRequest[] => {
  switch (event.type) {
    case "connected":
      return onConnected(state);
    case "disconnected":
      state.connected = false;
      return [];
    case "response":
      return onResponse(state, event.response, event.rejected);
    case "subscribe":
      return onSubscribe(state, event.typeUrl, event.names);
    case "unsubscribe":
      return onUnsubscribe(state, event.typeUrl, event.names);
  }
};

/** Every wildcard type has had its first answer. */
export const isSynced = (state: DeltaState): boolean => [...state.types.values()].every((t) => t.subscribe === "on-demand" || t.synced);
