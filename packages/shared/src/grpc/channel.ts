// How is a gRPC server reached: TLS roots, token, keepalive?

import type { Client, Metadata } from "@grpc/grpc-js";

export type Roots =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "pem"; readonly pem: string }
  | { readonly kind: "system" }
  /** No TLS: only for tests over loopback. */
  | { readonly kind: "plaintext" };

export type ChannelOptions = {
  /** "host:port". */
  readonly address: string;
  readonly roots: Roots;
  /** The name the server's certificate must have, when it is not the host's (ALT_XDS_HOSTNAME). */
  readonly serverName?: string | undefined;
  /** A bearer token, read again for every call. */
  readonly tokenFile?: string | undefined;
  readonly clusterId?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
};
export type Channel = {
  /** The client; remade when the roots file has changed. */
  client(): Promise<Client>;
  /** The call's metadata: authorization, clusterid, headers. */
  metadata(): Promise<Metadata>;
  close(): void;
};
export const createChannel = (_options: ChannelOptions): Channel => {
  throw new Error("not written yet");
};
