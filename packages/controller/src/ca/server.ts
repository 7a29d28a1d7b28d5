// How is a certificate asked for over gRPC? (istio.v1.auth.IstioCertificateService/CreateCertificate)

import type { GrpcServerOptions } from "@ambit/shared/grpc/serve.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import type { Result } from "@ambit/shared/runtime/result.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { parseCsr } from "@ambit/shared/tls/csr-parse.ts";
import { CREATE_CERTIFICATE_PATH, decodeCreateCertificateRequest, encodeCreateCertificateResponse } from "@ambit/shared/wire/ca.ts";
import type { CreateCertificateRequest } from "@ambit/shared/wire/types.ts";
import { bearerToken, type Caller } from "../tokens/identity.ts";
import type { Authority } from "./authority.ts";
import { IMPERSONATED } from "./node-auth.ts";
import { checkKey, type Lifetimes, signWorkload, validityOf } from "./sign.ts";

export type CaOptions = {
  /** The CA of the moment. */
  readonly authority: () => Authority;
  readonly review: (token: string) => Promise<Result<Caller>>;
  readonly authorize: (ask: { readonly caller: Caller; readonly impersonated: string | undefined }) => Result<SpiffeId>;
  readonly lifetimes: Lifetimes;
  readonly world: Pick<World, "now">;
  readonly log: (event: string, fields: object) => void;
};

/** gRPC status codes, as far as this service answers with them. */
const CODE = { invalidArgument: 3, failedPrecondition: 9, internal: 13, unauthenticated: 16 } as const;

type Refusal = { readonly code: (typeof CODE)[keyof typeof CODE]; readonly reason: string };
type Answer = { readonly chain: readonly string[]; readonly identity: SpiffeId } | Refusal;

type Metadata = { get(key: string): readonly unknown[] };
type UnaryCall = { readonly metadata: Metadata; readonly request: Result<CreateCertificateRequest>; getPeer(): string };
type UnaryCallback = (error: { readonly code: number; readonly details: string } | null, chain?: readonly string[]) => void;

/** Bytes in and out: what cannot be read is answered, not thrown at the transport. */
const CA_DEFINITION = {
  createCertificate: {
    path: CREATE_CERTIFICATE_PATH,
    requestStream: false,
    responseStream: false,
    requestSerialize: (b: Uint8Array) => Buffer.from(b),
    requestDeserialize: (b: Buffer) => decodeCreateCertificateRequest(b),
    responseSerialize: (chain: readonly string[]) => Buffer.from(encodeCreateCertificateResponse({ certChain: chain })),
    responseDeserialize: (b: Buffer) => b,
  },
} as const satisfies GrpcServerOptions["services"][number]["definition"];

export const createCaService = (options: CaOptions) => {
  const answer = async (metadata: Metadata, request: Result<CreateCertificateRequest>): Promise<Answer> => {
    const token = bearerToken(metadata.get("authorization"));
    const caller = token.ok ? await options.review(token.value) : token;
    if (!caller.ok) return { code: CODE.unauthenticated, reason: caller.error };
    if (!request.ok) return { code: CODE.invalidArgument, reason: request.error };
    const impersonated = impersonatedOf(request.value);
    if (impersonated === "malformed") return { code: CODE.invalidArgument, reason: `metadata.${IMPERSONATED} is not a text` };
    const identity = options.authorize({ caller: caller.value, impersonated });
    if (!identity.ok) return { code: CODE.unauthenticated, reason: identity.error };
    const csr = parseCsr(request.value.csr);
    if (!csr.ok) return { code: CODE.invalidArgument, reason: csr.error };
    const key = checkKey(csr.value.publicKey);
    if (!key.ok) return { code: CODE.invalidArgument, reason: key.error };
    const now = options.world.now();
    const authority = options.authority();
    if (now >= authority.notAfter) return { code: CODE.failedPrecondition, reason: "the CA's certificate has expired: replace it" };
    const validity = validityOf(request.value.validitySeconds, { now, caNotAfter: authority.notAfter, lifetimes: options.lifetimes });
    return {
      chain: signWorkload(authority, { publicKey: csr.value.publicKey, identity: identity.value, ...validity }),
      identity: identity.value,
    };
  };

  const createCertificate = (call: UnaryCall, callback: UnaryCallback): void => {
    answer(call.metadata, call.request).then(
      (a) => {
        if ("code" in a) {
          options.log("certificate_refused", { peer: call.getPeer(), reason: a.reason });
          callback({ code: a.code, details: a.reason });
        } else {
          options.log("certificate_signed", { peer: call.getPeer(), identity: a.identity.uri });
          callback(null, a.chain);
        }
      },
      (cause: unknown) => {
        options.log("certificate_failed", { peer: call.getPeer(), reason: cause instanceof Error ? cause.message : String(cause) });
        callback({ code: CODE.internal, details: "the certificate could not be made" });
      },
    );
  };
  return { definition: CA_DEFINITION, implementation: { createCertificate } };
};

const impersonatedOf = (request: CreateCertificateRequest): string | undefined | "malformed" => {
  const value = request.metadata[IMPERSONATED];
  return value === undefined || typeof value === "string" ? value : "malformed";
};
