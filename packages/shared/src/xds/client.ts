// How does a proxy follow its configuration? (delta ADS: stream, reconnect, what is held)

import type { Channel } from "../grpc/channel.ts";
import type { World } from "../runtime/world.ts";
import type { Node } from "../wire/types.ts";

export type XdsUpsert = {
  readonly name: string;
  readonly version: string;
  readonly value: Uint8Array;
  readonly aliases: readonly string[];
};
export type XdsUpdate = { readonly upserts: readonly XdsUpsert[]; readonly removed: readonly string[] };
export type XdsRejection = { readonly name: string; readonly reason: string };
export type XdsType = {
  readonly typeUrl: string;
  readonly subscribe: "wildcard" | "on-demand";
  /** Applies what can be; names what cannot, and why (a NACK; the old resource is kept). Synchronous. */
  readonly apply: (update: XdsUpdate) => { readonly rejected: readonly XdsRejection[] };
};
export type XdsMetrics = {
  readonly connected?: (up: boolean) => void;
  readonly terminated?: (reason: "connection_error" | "error" | "complete" | "reconnect") => void;
  readonly message?: (typeUrl: string, bytes: number) => void;
};
export type XdsClientOptions = {
  readonly channel: Channel;
  readonly node: Node;
  /** Requests are sent in this order. */
  readonly types: readonly XdsType[];
  readonly world: World;
  readonly log: (event: string, fields: object) => void;
  readonly metrics?: XdsMetrics;
};
export type XdsClient = {
  /** Follows until the signal aborts; never gives up before. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when every wildcard type has had its first answer. */
  firstSync(signal: AbortSignal): Promise<void>;
  subscribe(typeUrl: string, names: readonly string[]): void;
  unsubscribe(typeUrl: string, names: readonly string[]): void;
};
export const createXdsClient = (_options: XdsClientOptions): XdsClient => {
  throw new Error("not written yet");
};
