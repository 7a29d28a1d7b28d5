// How is a gRPC service offered?

import type { ServiceDefinition, UntypedServiceImplementation } from "@grpc/grpc-js";

/** PEM texts. */
export type ServingCert = { readonly certPem: string; readonly keyPem: string };
export type GrpcServerOptions = {
  /** "host:port"; port 0 picks one. */
  readonly bind: string;
  /** Absent: plaintext, only for tests. Asked again for every new connection's handshake after onRenew. */
  readonly tls?: { readonly current: () => ServingCert; readonly onRenew: (listener: () => void) => () => void };
  readonly services: readonly { readonly definition: ServiceDefinition; readonly implementation: UntypedServiceImplementation }[];
};
export type GrpcServer = { readonly port: number; drain(deadlineMs: number): Promise<void>; close(): void };
export const serveGrpc = (_options: GrpcServerOptions): Promise<GrpcServer> => {
  throw new Error("not written yet");
};
