// How is configuration served to proxies? (delta ADS, the server's half)

import { type Metadata, type ServerDuplexStream, type ServiceDefinition, status, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { type Result, unwrap } from "../runtime/result.ts";
import { DELTA_PATH, decodeDeltaRequest, decodeDeltaResponse, encodeDeltaRequest, encodeDeltaResponse } from "../wire/discovery.ts";
import type { DeltaRequest, DeltaResponse, Node } from "../wire/types.ts";
import {
  type Changed,
  createStreamState,
  flush,
  hear,
  markChanged,
  type Names,
  type StreamState,
  type XdsResource,
} from "./server-state.ts";

export type { XdsResource } from "./server-state.ts";

/** What the resources of a type are for one client. C is what authenticate returned. */
export type XdsSource<C> = {
  /** "wildcard": all that the client may have. Names: those of them that exist, found by name or alias; keyed by the resource's own name. */
  snapshot(client: C, names: Names): ReadonlyMap<string, XdsResource>;
  /** Calls the listener after every change with the names that may differ (for any client), or "all"; returns the unsubscribe. */
  onChange(listener: (changed: Changed) => void): () => void;
};
export type XdsPeer = { readonly metadata: Metadata; readonly address: string; readonly node: Node };
export type XdsServerOptions<C> = {
  /** In the order in which changes are sent: what is referred to before what refers. */
  readonly types: readonly { readonly typeUrl: string; readonly source: XdsSource<C> }[];
  /** Who calls: an error ends the stream UNAUTHENTICATED with its text. */
  readonly authenticate: (peer: XdsPeer) => Promise<Result<C>>;
  readonly log: (event: string, fields: object) => void;
};
export type XdsStreamStatus = {
  readonly node: Node;
  readonly types: readonly {
    readonly typeUrl: string;
    readonly held: number;
    readonly awaitingAck: boolean;
    readonly lastNack: string | undefined;
  }[];
};
export type XdsServer = {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
  /** For proxy-status. */
  streams(): readonly XdsStreamStatus[];
  /** Ends every stream and stops listening to the sources. */
  close(): void;
};

type Call = ServerDuplexStream<DeltaRequest, DeltaResponse>;
type Open<C> = { readonly call: Call; readonly client: C; readonly node: Node; readonly state: StreamState; scheduled: boolean };

const DEFINITION: ServiceDefinition = {
  DeltaAggregatedResources: {
    path: DELTA_PATH,
    requestStream: true,
    responseStream: true,
    requestSerialize: (r: DeltaRequest) => Buffer.from(encodeDeltaRequest(r)),
    requestDeserialize: (bytes) => unwrap(decodeDeltaRequest(bytes)),
    responseSerialize: (r: DeltaResponse) => Buffer.from(encodeDeltaResponse(r)),
    responseDeserialize: (bytes) => unwrap(decodeDeltaResponse(bytes)),
  },
};

const refuse = (call: Call, code: status, details: string): void => {
  call.emit("error", { code, details });
};

export const createXdsServer = <C>(options: XdsServerOptions<C>): XdsServer => {
  const { log } = options;
  const order = options.types.map((t) => t.typeUrl);
  const sources = new Map(options.types.map((t) => [t.typeUrl, t.source]));
  const open = new Set<Open<C>>();

  const send = (s: Open<C>): void => {
    s.scheduled = false;
    if (!open.has(s)) return;
    const lookup = (typeUrl: string, names: Names) => sources.get(typeUrl)?.snapshot(s.client, names) ?? new Map<string, XdsResource>();
    for (const response of flush(s.state, lookup)) s.call.write(response);
  };
  /** At the end of the loop's turn: the requests that came together, and all changes of a batch, are answered as one. */
  const schedule = (s: Open<C>): void => {
    if (s.scheduled) return;
    s.scheduled = true;
    setImmediate(() => {
      try {
        send(s);
      } catch (e) {
        // A bug in a source: this stream ends and the client comes back; the others are served.
        log("xds stream failed", { node: s.node.id, error: e instanceof Error ? e.message : String(e) });
        open.delete(s);
        refuse(s.call, status.INTERNAL, "the resources could not be computed");
      }
    });
  };

  const unsubscribe = options.types.map(({ typeUrl, source }) =>
    source.onChange((changed) => {
      for (const s of open) {
        markChanged(s.state, typeUrl, changed);
        schedule(s);
      }
    }),
  );

  const receive = (s: Open<C>, request: DeltaRequest): void => {
    const heard = hear(s.state, request);
    if (heard.kind === "nack") log("xds resources refused", { node: s.node.id, typeUrl: request.typeUrl, reason: heard.message });
    if (heard.kind === "unknown-type") log("xds type not served", { node: s.node.id, typeUrl: request.typeUrl });
    schedule(s);
  };

  const admit = async (call: Call, first: DeltaRequest): Promise<Open<C> | undefined> => {
    const node = first.node ?? { id: "", metadata: {} };
    const who = await options.authenticate({ metadata: call.metadata, address: call.getPeer(), node });
    if (!who.ok) {
      log("xds stream refused", { node: node.id, address: call.getPeer(), error: who.error });
      refuse(call, status.UNAUTHENTICATED, who.error);
      return undefined;
    }
    if (call.cancelled) return undefined;
    const s: Open<C> = { call, client: who.value, node, state: createStreamState(order), scheduled: false };
    open.add(s);
    log("xds stream opened", { node: node.id, address: call.getPeer() });
    return s;
  };

  const serve = (call: Call): void => {
    let s: Open<C> | undefined;
    let over = false;
    // Until the caller is known its requests wait here; the stream is paused, so there are few.
    const early: DeltaRequest[] = [];
    const end = (): void => {
      over = true;
      if (s !== undefined && open.delete(s)) log("xds stream closed", { node: s.node.id });
    };
    const begin = async (first: DeltaRequest): Promise<void> => {
      const admitted = await admit(call, first);
      if (admitted === undefined) return;
      if (over) return void open.delete(admitted);
      s = admitted;
      for (const request of early) receive(s, request);
      call.resume();
    };
    call.on("data", (request: DeltaRequest) => {
      if (s !== undefined) return receive(s, request);
      call.pause();
      early.push(request);
      if (early.length > 1) return;
      begin(request).catch((e) => {
        log("xds stream failed", { address: call.getPeer(), error: e instanceof Error ? e.message : String(e) });
        refuse(call, status.UNAVAILABLE, "the caller could not be authenticated now");
      });
    });
    call.once("end", () => {
      end();
      call.end();
    });
    call.once("cancelled", end);
    call.on("error", end);
  };

  return {
    definition: DEFINITION,
    implementation: { DeltaAggregatedResources: serve },
    streams: () =>
      [...open].map((s) => ({
        node: s.node,
        types: [...s.state.types].map(([typeUrl, t]) => ({
          typeUrl,
          held: t.held.size,
          awaitingAck: t.awaiting !== undefined,
          lastNack: t.lastNack,
        })),
      })),
    close: () => {
      for (const stop of unsubscribe) stop();
      for (const s of [...open]) {
        open.delete(s);
        s.call.end();
      }
    },
  };
};
