// How is configuration served to proxies? (delta ADS, the server's half)

import type { Metadata, ServiceDefinition, UntypedServiceImplementation } from "@grpc/grpc-js";
import type { Result } from "../runtime/result.ts";
import type { Node } from "../wire/types.ts";

export type XdsResource = { readonly version: string; readonly value: Uint8Array; readonly aliases?: readonly string[] };
/** What the resources of a type are for one client. C is what authenticate returned. */
export type XdsSource<C> = {
  /** "wildcard": all that the client may have. Names: those of them that exist, found by name or alias; keyed by the resource's own name. */
  snapshot(client: C, names: ReadonlySet<string> | "wildcard"): ReadonlyMap<string, XdsResource>;
  /** Called after every change with the names that may differ, or "all"; returns the unsubscribe. */
  onChange(listener: (changed: ReadonlySet<string> | "all") => void): () => void;
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
  close(): void;
};
export const createXdsServer = <C>(_options: XdsServerOptions<C>): XdsServer => {
  throw new Error("not written yet");
};
