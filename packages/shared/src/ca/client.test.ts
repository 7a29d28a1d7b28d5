// Is a certificate asked for as Istio's CA has it, and is a refusal told?

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type ServerUnaryCall, type sendUnaryData, status } from "@grpc/grpc-js";
import { createChannel } from "../grpc/channel.ts";
import { serveGrpc } from "../grpc/serve.ts";
import { spiffeId } from "../identity/spiffe.ts";
import { unwrap } from "../runtime/result.ts";
import { parseCsr } from "../tls/csr-parse.ts";
import { createRoot, issueLeaf } from "../tls/issue.ts";
import { CREATE_CERTIFICATE_PATH, decodeCreateCertificateRequest, encodeCreateCertificateResponse } from "../wire/ca.ts";
import type { CreateCertificateRequest, CreateCertificateResponse } from "../wire/types.ts";
import { createCaClient } from "./client.ts";
import { workloadCert } from "./workload-cert.ts";

const id = spiffeId("cluster.local", "ns", "a");
const HOUR = 3_600_000;

type Answer = (
  request: CreateCertificateRequest,
  token: unknown,
) => CreateCertificateResponse | { code: number; details: string } | undefined;
const setup = async (t: { after(f: () => void): void }, answer: Answer) => {
  const dir = await mkdtemp(join(tmpdir(), "ambit-ca-"));
  const tokenFile = join(dir, "token");
  await writeFile(tokenFile, "secret\n");
  const server = await serveGrpc({
    bind: "127.0.0.1:0",
    services: [
      {
        definition: {
          CreateCertificate: {
            path: CREATE_CERTIFICATE_PATH,
            requestStream: false,
            responseStream: false,
            requestSerialize: () => Buffer.alloc(0),
            requestDeserialize: (b) => unwrap(decodeCreateCertificateRequest(b)),
            responseSerialize: (r: CreateCertificateResponse) => Buffer.from(encodeCreateCertificateResponse(r)),
            responseDeserialize: () => undefined,
          },
        },
        implementation: {
          CreateCertificate: (call: ServerUnaryCall<CreateCertificateRequest, unknown>, done: sendUnaryData<CreateCertificateResponse>) => {
            const a = answer(call.request, call.metadata.get("authorization")[0]);
            if (a === undefined) return;
            if ("code" in a) done(a);
            else done(null, a);
          },
        },
      },
    ],
  });
  const channel = createChannel({ address: `127.0.0.1:${server.port}`, roots: { kind: "plaintext" }, tokenFile });
  t.after(async () => {
    channel.close();
    server.close();
    await rm(dir, { recursive: true });
  });
  return channel;
};

test("a fresh key and a request for the identity, impersonated, with the token", { timeout: 10_000 }, async (t) => {
  const now = Date.now();
  const root = createRoot({ organization: "cluster.local", notBefore: now - HOUR, notAfter: now + HOUR });
  const channel = await setup(t, (request, token) => {
    assert.equal(token, "Bearer secret");
    assert.equal(request.validitySeconds, 86_400);
    assert.deepEqual(request.metadata, { ImpersonatedIdentity: id.uri });
    const csr = unwrap(parseCsr(request.csr));
    assert.deepEqual(csr.uris, [id.uri]);
    return { certChain: [issueLeaf(root, { ...csr, notBefore: now - 1000, notAfter: now + HOUR }), root.certPem] };
  });
  const issued = await createCaClient({ channel, ttlMs: 86_400_000, impersonate: true }).fetch(id, AbortSignal.timeout(5000));
  assert.equal(unwrap(workloadCert(id, issued)).leaf.uris[0], id.uri);
});

test("an own identity is asked for without impersonation", { timeout: 10_000 }, async (t) => {
  const channel = await setup(t, (request) => {
    assert.deepEqual(request.metadata, {});
    return { certChain: ["x"] };
  });
  await createCaClient({ channel, ttlMs: 1000, impersonate: false }).fetch(id, AbortSignal.timeout(5000));
});

test("a refusal is told with its status", { timeout: 10_000 }, async (t) => {
  const channel = await setup(t, () => ({ code: status.UNAUTHENTICATED, details: "no pod of ns/a runs on node1" }));
  const fetch = createCaClient({ channel, ttlMs: 1000, impersonate: true }).fetch(id, AbortSignal.timeout(5000));
  await assert.rejects(fetch, /the CA refused or failed: UNAUTHENTICATED: no pod of ns\/a runs on node1/);
});

test("a CA that does not answer is left when the signal aborts", { timeout: 10_000 }, async (t) => {
  const asked = Promise.withResolvers<void>();
  const channel = await setup(t, () => void asked.resolve());
  const stop = new AbortController();
  const fetch = createCaClient({ channel, ttlMs: 1000, impersonate: true }).fetch(id, stop.signal);
  await asked.promise;
  stop.abort(new Error("not needed any more"));
  await assert.rejects(fetch, /not needed any more/);
});
