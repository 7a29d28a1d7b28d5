// How is a gRPC service offered?

import { Server, ServerCredentials, type ServiceDefinition, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { realWorld } from "../runtime/run.ts";
import { DEFAULT_TLS, policyOptions, type TlsPolicy } from "../tls/policy.ts";
import { MAX_MESSAGE_BYTES } from "./channel.ts";

/** PEM texts; certPem may hold a chain, leaf first. */
export type ServingCert = { readonly certPem: string; readonly keyPem: string };
export type ServingTls = {
  readonly current: () => ServingCert;
  /** The default policy where it is not told. */
  readonly policy?: TlsPolicy;
  /** Calls the listener when `current` answers something new; returns the unsubscribe. */
  readonly onRenew: (listener: () => void) => () => void;
};
export type GrpcServerOptions = {
  /** "host:port"; port 0 picks one. */
  readonly bind: string;
  /** Absent: plaintext, only for tests. */
  readonly tls?: ServingTls;
  readonly services: readonly { readonly definition: ServiceDefinition; readonly implementation: UntypedServiceImplementation }[];
  /** Streams are ended with a GOAWAY after this long, so that load spreads and tokens are checked again; 30 minutes unless said otherwise. */
  readonly maxConnectionAgeMs?: number;
};
export type GrpcServer = {
  readonly port: number;
  /** No new calls; resolves when those under way have ended, cutting them at the deadline. */
  drain(deadlineMs: number): Promise<void>;
  close(): void;
};

const contextOf = (tls: ServingTls) => {
  const { certPem, keyPem } = tls.current();
  return { ...policyOptions(tls.policy ?? DEFAULT_TLS), cert: certPem, key: keyPem };
};

/** The library's own way to change a server's certificate in flight: new connections get the new one. */
class RenewingCredentials extends ServerCredentials {
  constructor(tls: ServingTls) {
    super({}, contextOf(tls));
    tls.onRenew(() => this.updateSecureContextOptions(contextOf(tls)));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/** Listens until closed. Rejects when it cannot listen, or when the certificate cannot be used. */
export const serveGrpc = async (options: GrpcServerOptions): Promise<GrpcServer> => {
  const server = new Server({
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.max_connection_age_ms": options.maxConnectionAgeMs ?? 30 * 60_000,
    "grpc.max_connection_age_grace_ms": 10_000,
  });
  for (const { definition, implementation } of options.services) server.addService(definition, implementation);
  const credentials = options.tls === undefined ? ServerCredentials.createInsecure() : new RenewingCredentials(options.tls);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(options.bind, credentials, (e, bound) => {
      if (e !== null) reject(new Error(`cannot listen on ${options.bind}: ${e.message}`, { cause: e }));
      else resolve(bound);
    }),
  );
  const close = (): void => server.forceShutdown();
  const drain = async (deadlineMs: number): Promise<void> => {
    const over = new AbortController();
    const idle = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
    const late = realWorld()
      .sleep(deadlineMs, over.signal)
      .then(
        () => undefined,
        () => undefined,
      );
    await Promise.race([idle, late]);
    over.abort();
    close();
  };
  return { port, drain, close };
};
