// How is a gRPC server reached: TLS roots, token, keepalive?

import { readFile } from "node:fs/promises";
import { type ChannelCredentials, Client, credentials, type ChannelOptions as GrpcOptions, Metadata } from "@grpc/grpc-js";
import { anonymousContext } from "../tls/context.ts";
import type { TlsPolicy } from "../tls/policy.ts";

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
  /** The default policy where it is not told. */
  readonly tls?: TlsPolicy;
  readonly headers?: Readonly<Record<string, string>>;
};

export type Channel = {
  /** The client; remade when the roots file has changed. Throws when the file cannot be read. */
  client(): Promise<Client>;
  /** The call's metadata: authorization, clusterid, headers. Throws when the token cannot be read. */
  metadata(): Promise<Metadata>;
  /** The next client dials anew, without waiting for gRPC's own backoff. */
  reset(): void;
  close(): void;
};

export const MAX_MESSAGE_BYTES = 200 << 20;

/** ambient-l4 section 3.3. Backoff of the caller counts, so gRPC's own is kept short; each channel has connections of its own. */
const OPTIONS: GrpcOptions = {
  "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
  "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 5_000,
  "grpc.dns_min_time_between_resolutions_ms": 1_000,
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_retries": 0,
  "grpc.enable_http_proxy": 0,
};

const readText = async (path: string, what: string): Promise<string> => {
  try {
    return await readFile(path, "utf8");
  } catch (e) {
    throw new Error(`the ${what} ${path} cannot be read: ${e instanceof Error ? e.message : String(e)}`, { cause: e });
  }
};

const rootsText = async (roots: Roots): Promise<string | undefined> => {
  if (roots.kind === "file") return readText(roots.path, "root certificates file");
  return roots.kind === "pem" ? roots.pem : undefined;
};

const credentialsFor = (options: ChannelOptions, pem: string | undefined): ChannelCredentials =>
  options.roots.kind === "plaintext"
    ? credentials.createInsecure()
    : credentials.createFromSecureContext(anonymousContext(pem, options.tls));

export const createChannel = (options: ChannelOptions): Channel => {
  let held: { readonly client: Client; readonly pem: string | undefined } | undefined;
  const { serverName, tokenFile } = options;

  const client = async (): Promise<Client> => {
    const pem = await rootsText(options.roots);
    if (held !== undefined && held.pem === pem) return held.client;
    held?.client.close();
    const named = serverName === undefined ? {} : { "grpc.ssl_target_name_override": serverName, "grpc.default_authority": serverName };
    held = { client: new Client(options.address, credentialsFor(options, pem), { ...OPTIONS, ...named }), pem };
    return held.client;
  };

  const metadata = async (): Promise<Metadata> => {
    const m = new Metadata();
    for (const [name, value] of Object.entries(options.headers ?? {})) m.set(name, value);
    if (tokenFile !== undefined) m.set("authorization", `Bearer ${(await readText(tokenFile, "token file")).trim()}`);
    if (options.clusterId !== undefined) m.set("clusterid", options.clusterId);
    return m;
  };

  const reset = (): void => {
    held?.client.close();
    held = undefined;
  };
  return { client, metadata, reset, close: reset };
};
