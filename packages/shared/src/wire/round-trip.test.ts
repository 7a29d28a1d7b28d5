// Does every wire type survive being written and read, and does hostile input never throw?

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Result } from "../runtime/result.ts";
import { encodeAddress } from "./address.ts";
import { decodeAddress } from "./address-read.ts";
import { anyIp, anyL4Policy, anyMetadata, anyService, anyWaypointService, anyWorkload, record } from "./arbitrary.ts";
import { decodeAuthorization, encodeAuthorization } from "./authorization.ts";
import {
  decodeCreateCertificateRequest,
  decodeCreateCertificateResponse,
  encodeCreateCertificateRequest,
  encodeCreateCertificateResponse,
} from "./ca.ts";
import { decodeDeltaRequest, decodeDeltaResponse, encodeDeltaRequest, encodeDeltaResponse } from "./discovery.ts";
import { type Address, type DeltaRequest, type DeltaResponse, ZDS_EXTENSIONS, type ZdsRequest } from "./types.ts";
import { decodeWaypointService, encodeWaypointService } from "./waypoint.ts";
import { decodeZdsAck, decodeZdsHello, decodeZdsRequest, encodeZdsAck, encodeZdsHello, encodeZdsRequest } from "./zds.ts";

const name = fc.string({ minLength: 1, maxLength: 10 });
const text = fc.string({ maxLength: 10, unit: "grapheme" });
const dictionary = <T>(value: fc.Arbitrary<T>) => fc.array(fc.tuple(name, value), { maxLength: 4 }).map((e) => new Map(e));

const anyAddress: fc.Arbitrary<Address> = fc.oneof(
  anyWorkload.map((workload) => ({ kind: "workload" as const, workload })),
  anyService.map((service) => ({ kind: "service" as const, service })),
);
const anyRequest: fc.Arbitrary<DeltaRequest> = record({
  node: fc.option(record({ id: text, metadata: anyMetadata }), { nil: undefined }),
  typeUrl: name,
  subscribe: fc.array(text),
  unsubscribe: fc.array(text),
  initialVersions: dictionary(text),
  responseNonce: text,
  error: fc.option(record({ code: fc.integer({ min: 0, max: 16 }), message: text }), { nil: undefined }),
}).map(({ node, error, ...rest }) => ({ ...rest, ...(node === undefined ? {} : { node }), ...(error === undefined ? {} : { error }) }));
const anyResponse: fc.Arbitrary<DeltaResponse> = record({
  typeUrl: name,
  nonce: text,
  systemVersion: text,
  resources: fc.array(
    record({ name, version: text, aliases: fc.array(text), value: fc.uint8Array({ minLength: 1 }).map((b) => Buffer.from(b)) }),
    {
      maxLength: 4,
    },
  ),
  removed: fc.array(text),
});
const anyZds: fc.Arbitrary<ZdsRequest> = fc.oneof(
  record({ kind: fc.constant("add" as const), uid: name, workload: record({ name, namespace: name, serviceAccount: name }) }),
  record({
    kind: fc.constant("add" as const),
    uid: name,
    workload: record({
      name,
      namespace: name,
      serviceAccount: name,
      dns: record({
        policy: fc.constantFrom("ClusterFirst" as const, "Default" as const, "None" as const),
        searches: fc.array(name, { maxLength: 3 }),
        nameservers: fc.array(anyIp, { maxLength: 3 }),
      }),
    }),
  }),
  record({ kind: fc.constantFrom("keep" as const, "del" as const, "terminating" as const), uid: name }),
  fc.constant({ kind: "snapshot-sent" as const }),
);

type Case = {
  name: string;
  any: fc.Arbitrary<unknown>;
  encode: (v: never) => Uint8Array | Result<Uint8Array>;
  decode: (b: Uint8Array) => Result<unknown>;
};
const cases: Case[] = [
  { name: "Address", any: anyAddress, encode: encodeAddress, decode: decodeAddress },
  { name: "Authorization", any: anyL4Policy, encode: encodeAuthorization, decode: decodeAuthorization },
  { name: "waypoint Service", any: anyWaypointService, encode: encodeWaypointService, decode: decodeWaypointService },
  { name: "DeltaDiscoveryRequest", any: anyRequest, encode: encodeDeltaRequest, decode: decodeDeltaRequest },
  { name: "DeltaDiscoveryResponse", any: anyResponse, encode: encodeDeltaResponse, decode: decodeDeltaResponse },
  {
    name: "IstioCertificateRequest",
    any: record({ csr: name, validitySeconds: fc.maxSafeNat(), metadata: anyMetadata }),
    encode: encodeCreateCertificateRequest,
    decode: decodeCreateCertificateRequest,
  },
  {
    name: "IstioCertificateResponse",
    any: record({ certChain: fc.array(text) }),
    encode: encodeCreateCertificateResponse,
    decode: decodeCreateCertificateResponse,
  },
  {
    name: "ZdsHello",
    any: record({ version: fc.constant("V1" as const), understands: fc.subarray([...ZDS_EXTENSIONS]) }),
    encode: encodeZdsHello,
    decode: decodeZdsHello,
  },
  { name: "WorkloadRequest", any: anyZds, encode: encodeZdsRequest, decode: decodeZdsRequest },
  { name: "WorkloadResponse", any: record({ error: text }), encode: encodeZdsAck, decode: decodeZdsAck },
];

const bytesOf = (c: Case, v: unknown): Uint8Array => {
  const encoded = c.encode(v as never);
  if (encoded instanceof Uint8Array) return encoded;
  if (!encoded.ok) throw new Error(encoded.error);
  return encoded.value;
};

for (const c of cases) {
  test(`${c.name}: what is read is what was written`, () => {
    fc.assert(
      fc.property(c.any, (v) => {
        assert.deepEqual(c.decode(bytesOf(c, v)), { ok: true, value: v });
      }),
      { numRuns: 150 },
    );
  });

  test(`${c.name}: random bytes are a Result, never a throw`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (b) => {
        assert.equal(typeof c.decode(b).ok, "boolean");
      }),
      { numRuns: 300 },
    );
  });

  test(`${c.name}: damaged messages are a Result, never a throw`, () => {
    fc.assert(
      fc.property(c.any, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }), fc.nat(), (v, edits, cut) => {
        const b = Uint8Array.from(bytesOf(c, v));
        for (const [where, byte] of edits) if (b.length > 0) b[where % b.length] = byte;
        assert.equal(typeof c.decode(b).ok, "boolean");
        assert.equal(typeof c.decode(b.subarray(0, cut % (b.length + 1))).ok, "boolean");
      }),
      { numRuns: 150 },
    );
  });
}
