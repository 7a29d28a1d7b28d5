// How does a proxy follow its configuration? (delta ADS: stream, reconnect, what is held)

import { type ClientDuplexStream, status } from "@grpc/grpc-js";
import type { Channel } from "../grpc/channel.ts";
import { describeCall, isRoutine } from "../grpc/status.ts";
import { backoffMs } from "../runtime/backoff.ts";
import { unwrap } from "../runtime/result.ts";
import type { World } from "../runtime/world.ts";
import { DELTA_PATH, decodeDeltaResponse, encodeDeltaRequest } from "../wire/discovery.ts";
import type { DeltaRequest, DeltaResponse, Node } from "../wire/types.ts";
import { advance, createDeltaState, type DeltaEvent, isSynced } from "./delta.ts";

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
  /** Applies what can be; names what cannot, and why (a NACK; the old resource is kept). Synchronous. A throw refuses the whole update. */
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
  /** Follows until the signal aborts; never gives up before. What is held outlives every stream. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when every wildcard type has had its first answer. */
  firstSync(signal: AbortSignal): Promise<void>;
  /** On-demand types: asks for resources by name or alias. The answer, also a negative one, comes through `apply`. */
  subscribe(typeUrl: string, names: readonly string[]): void;
  unsubscribe(typeUrl: string, names: readonly string[]): void;
};

const BACKOFF = { baseMs: 10, maxMs: 15_000 };

type Received = { readonly response: DeltaResponse; readonly bytes: number };
type Stream = ClientDuplexStream<DeltaRequest, Received>;
/** How a stream ended: with or without anything received on it. */
type Ended = { readonly error: unknown; readonly heard: boolean };

export const createXdsClient = (options: XdsClientOptions): XdsClient => {
  const { channel, world, log, metrics } = options;
  const state = createDeltaState(options.node, options.types);
  const applies = new Map(options.types.map((t) => [t.typeUrl, t.apply]));
  const synced = Promise.withResolvers<void>();
  let stream: Stream | undefined;

  const send = (event: DeltaEvent): void => {
    for (const message of advance(state, event)) stream?.write(message);
  };

  const applied = ({ typeUrl, resources, removed }: DeltaResponse): readonly XdsRejection[] => {
    const apply = applies.get(typeUrl);
    if (apply === undefined) return [];
    try {
      return apply({ upserts: resources, removed }).rejected;
    } catch (e) {
      // A bug in Ambit: the update is refused whole and said so, and what was held goes on serving.
      const reason = e instanceof Error ? e.message : String(e);
      log("xds update failed", { typeUrl, error: reason });
      return [...resources.map((r) => r.name), ...removed].map((name) => ({ name, reason }));
    }
  };

  const receive = ({ response, bytes }: Received): void => {
    metrics?.message?.(response.typeUrl, bytes);
    const rejected = applied(response);
    for (const r of rejected) log("xds resource refused", { typeUrl: response.typeUrl, name: r.name, reason: r.reason });
    send({ type: "response", response, rejected });
    if (isSynced(state)) synced.resolve();
  };

  /** One stream from its start to its end. */
  const follow = async (signal: AbortSignal): Promise<Ended> => {
    const [client, metadata] = await Promise.all([channel.client(), channel.metadata()]);
    if (signal.aborted) return { error: undefined, heard: false };
    return new Promise((resolve) => {
      const call: Stream = client.makeBidiStreamRequest(
        DELTA_PATH,
        (r: DeltaRequest) => Buffer.from(encodeDeltaRequest(r)),
        (bytes): Received => ({ response: unwrap(decodeDeltaResponse(bytes)), bytes: bytes.length }),
        metadata,
      );
      let heard = false;
      const onAbort = (): void => call.cancel();
      let over = false;
      const end = (error: unknown): void => {
        if (over) return;
        over = true;
        signal.removeEventListener("abort", onAbort);
        if (stream === call) stream = undefined;
        send({ type: "disconnected" });
        if (heard) metrics?.connected?.(false);
        resolve({ error, heard });
      };
      signal.addEventListener("abort", onAbort, { once: true });
      call.on("data", (message: Received) => {
        if (!heard) metrics?.connected?.(true);
        heard = true;
        receive(message);
      });
      call.on("error", end);
      // A clean end has two halves that come in either order: what was still buffered has been read, and the status is good.
      const halves = new Set<"read" | "status">();
      const half = (which: "read" | "status"): void => {
        if (halves.add(which).size === 2) end(undefined);
      };
      call.once("end", () => half("read"));
      call.once("status", (s) => {
        if (s.code === status.OK) half("status"); // else the error says it
      });
      stream = call;
      send({ type: "connected" });
    });
  };

  const once = async (signal: AbortSignal): Promise<Ended> => {
    try {
      return await follow(signal);
    } catch (error) {
      // The roots or the token could not be read, or the client not be made: told below, tried again.
      return { error, heard: false };
    }
  };

  const run = async (signal: AbortSignal): Promise<void> => {
    let attempt = 0;
    while (!signal.aborted) {
      const { error, heard } = await once(signal);
      if (signal.aborted) break;
      if (heard) attempt = 0;
      // A server that recycles streams is no failure, but one that does so before saying anything is.
      const routine = heard && (error === undefined || isRoutine(error));
      const wait = routine ? BACKOFF.baseMs : backoffMs(attempt, world.random, BACKOFF);
      metrics?.terminated?.(error === undefined ? "complete" : routine ? "reconnect" : heard ? "error" : "connection_error");
      log(routine ? "xds stream ended" : "xds stream failed", {
        error: error === undefined ? "the server ended the stream" : describeCall(error),
        retryMs: Math.round(wait),
      });
      if (!routine) {
        attempt += 1;
        channel.reset();
      }
      await world.sleep(wait, signal).catch((e) => {
        if (!signal.aborted) throw e;
      });
    }
  };

  const firstSync = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason);
      if (signal.aborted) return onAbort();
      if (isSynced(state)) synced.resolve();
      signal.addEventListener("abort", onAbort, { once: true });
      synced.promise.then(() => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      });
    });

  return {
    run,
    firstSync,
    subscribe: (typeUrl, names) => send({ type: "subscribe", typeUrl, names }),
    unsubscribe: (typeUrl, names) => send({ type: "unsubscribe", typeUrl, names }),
  };
};
