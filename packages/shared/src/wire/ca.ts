// How are the CA's messages written and read? (istio.v1.auth.IstioCertificateService/CreateCertificate)

import { codecOf } from "../proto/schema.ts";
import { allOf, err, mapOk, ok, type Result } from "../runtime/result.ts";
import { at, readName } from "./read.ts";
import { readOptionalStruct, type WireStruct, writeStruct } from "./struct.ts";
import type { CreateCertificateRequest, CreateCertificateResponse } from "./types.ts";

/** The gRPC path of the call. */
export const CREATE_CERTIFICATE_PATH = "/istio.v1.auth.IstioCertificateService/CreateCertificate";

/** protobufjs reads a 64-bit number as a Long where that library is present. */
type Int64 = number | { toNumber(): number };
type WireRequest = { csr: string; validityDuration: Int64; metadata?: WireStruct | null };
type WireResponse = { certChain: string[] };

const requests = codecOf<WireRequest>("istio.v1.auth.IstioCertificateRequest");
const responses = codecOf<WireResponse>("istio.v1.auth.IstioCertificateResponse");

export const encodeCreateCertificateRequest = (r: CreateCertificateRequest): Uint8Array =>
  requests.encode({ csr: r.csr, validityDuration: r.validitySeconds, metadata: writeStruct(r.metadata) });

const readSeconds = (n: Int64): Result<number> => {
  const seconds = typeof n === "number" ? n : n.toNumber();
  return Number.isSafeInteger(seconds) && seconds >= 0 ? ok(seconds) : err(`validity_duration: ${seconds} is not a number of seconds`);
};

export const decodeCreateCertificateRequest = (bytes: Uint8Array): Result<CreateCertificateRequest> => {
  const m = requests.decode(bytes);
  if (!m.ok) return m;
  return allOf({
    csr: readName("csr", m.value.csr),
    validitySeconds: readSeconds(m.value.validityDuration),
    metadata: at("metadata", readOptionalStruct(m.value.metadata)),
  });
};

export const encodeCreateCertificateResponse = (r: CreateCertificateResponse): Uint8Array =>
  responses.encode({ certChain: [...r.certChain] });

export const decodeCreateCertificateResponse = (bytes: Uint8Array): Result<CreateCertificateResponse> =>
  mapOk(responses.decode(bytes), (m) => ({ certChain: [...m.certChain] }));
