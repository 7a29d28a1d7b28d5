// What is a workload's certificate to those who use it?

import type { SecureContext } from "node:tls";
import type { SpiffeId } from "../identity/spiffe.ts";
import type { Certificate } from "../tls/certificate.ts";
import type { TlsPolicy } from "../tls/policy.ts";

/** A key with the chain that certifies it, and the roots that peers are checked against. Contexts are built once. */
export type WorkloadCert = {
  readonly identity: SpiffeId;
  readonly keyPem: string;
  /** Leaf first, then intermediates. */
  readonly chainPem: readonly string[];
  readonly rootsPem: readonly string[];
  readonly tls: TlsPolicy;
  readonly leaf: Certificate;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly clientContext: SecureContext;
};

/** What a CA answered, not yet checked. */
export type IssuedCert = { readonly keyPem: string; readonly certChain: readonly string[] };
/** RealTime: a connection waits for it. Warmup: a pod was announced. Background: renewal. */
export type Priority = "RealTime" | "Warmup" | "Background";

export type CertState = {
  readonly identity: SpiffeId;
  readonly state: "Initializing" | "Available" | "Unavailable";
  readonly error: string | undefined;
  readonly cert: WorkloadCert | undefined;
};

export type CertStore = {
  /** The certificate, fetched when there is none; throws MeshError IDENTITY. */
  get(id: SpiffeId, signal?: AbortSignal): Promise<WorkloadCert>;
  /** The certificate if one is held and has not expired. */
  peek(id: SpiffeId): WorkloadCert | undefined;
  /** Starts fetching (priority Warmup) and keeps renewing until forgotten. */
  warm(id: SpiffeId): void;
  forget(id: SpiffeId): void;
  /** Fetches every certificate anew within seconds, whatever is left of it: the roots have changed, say. What is held serves meanwhile. */
  renewAll(why: string): void;
  /** For /config_dump. */
  snapshot(): readonly CertState[];
  /** Called with every certificate that arrives; returns the unsubscribe. */
  onRenew(listener: (cert: WorkloadCert) => void): () => void;
  close(): void;
};
