// Does CreateCertificate issue what it should over a real channel, and refuse the rest?

import assert from "node:assert/strict";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { after, test } from "node:test";
import { createChannel } from "@ambit/shared/grpc/channel.ts";
import { serveGrpc } from "@ambit/shared/grpc/serve.ts";
import { spiffeId } from "@ambit/shared/identity/spiffe.ts";
import { err, ok, unwrap } from "@ambit/shared/runtime/result.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { createCsr } from "@ambit/shared/tls/csr.ts";
import { type createKey, createRoot } from "@ambit/shared/tls/issue.ts";
import { CREATE_CERTIFICATE_PATH, decodeCreateCertificateResponse, encodeCreateCertificateRequest } from "@ambit/shared/wire/ca.ts";
import type { CreateCertificateRequest } from "@ambit/shared/wire/types.ts";
import { createServingCertificate, servingNames } from "./serve.ts";
import { createCaService } from "./server.ts";
import { checkKey, validityOf } from "./sign.ts";

const HOUR = 3_600_000;
const world = realWorld();
const rootOf = () => {
  const now = world.now();
  const notAfter = now + 24 * 365 * HOUR;
  return { ...createRoot({ notBefore: now - HOUR, notAfter, organization: "cluster.local" }), notAfter };
};
const root = rootOf();
const authority = { signer: root, chainPem: [], rootsPem: [root.certPem], notAfter: root.notAfter };

const ca = createCaService({
  authority: () => authority,
  review: async (token) =>
    token === "good" ? ok({ namespace: "shop", serviceAccount: "web", pod: undefined }) : err("the token is not valid"),
  authorize: ({ caller, impersonated }) =>
    impersonated === undefined
      ? ok(spiffeId("cluster.local", caller.namespace, caller.serviceAccount))
      : err(`not for you: ${impersonated}`),
  lifetimes: { defaultMs: 24 * HOUR, maxMs: 90 * 24 * HOUR },
  world,
  log: () => undefined,
});
const serving = createServingCertificate(
  {
    authority: () => authority,
    onChange: () => () => undefined,
    names: servingNames({ service: "istiod", namespace: "istio-system", clusterDomain: "cluster.local" }),
  },
  world,
);
const server = await serveGrpc({ bind: "127.0.0.1:0", tls: serving, services: [ca] });
const open = (token: string) =>
  createChannel({
    address: `127.0.0.1:${server.port}`,
    roots: { kind: "pem", pem: root.certPem },
    serverName: "istiod.istio-system.svc",
    headers: { authorization: `Bearer ${token}` },
  });
const channels = { good: open("good"), bad: open("bad") };
after(async () => {
  channels.good.close();
  channels.bad.close();
  server.close();
});

const ask = async (request: Partial<CreateCertificateRequest>, as: keyof typeof channels = "good") => {
  const channel = channels[as];
  const [client, metadata] = await Promise.all([channel.client(), channel.metadata()]);
  const message = { csr: createCsr("spiffe://cluster.local/ns/x/sa/y").csrPem, validitySeconds: 0, metadata: {}, ...request };
  return new Promise<readonly string[]>((resolve, reject) => {
    client.makeUnaryRequest(
      CREATE_CERTIFICATE_PATH,
      (m: CreateCertificateRequest) => Buffer.from(encodeCreateCertificateRequest(m)),
      (b: Buffer) => unwrap(decodeCreateCertificateResponse(b)),
      message,
      metadata,
      { deadline: world.now() + 10_000 },
      (e, answer) => (e === null && answer !== undefined ? resolve(answer.certChain) : reject(e ?? new Error("no answer"))),
    );
  });
};

test("a certificate for the caller's own identity, whatever the request says of itself", async () => {
  const chain = await ask({});
  assert.equal(chain.length, 2);
  const leaf = new X509Certificate(chain[0] ?? "");
  assert.equal(leaf.subjectAltName, "URI:spiffe://cluster.local/ns/shop/sa/web");
  assert.ok(leaf.verify(new X509Certificate(root.certPem).publicKey));
  assert.equal(chain[1], root.certPem);
  assert.ok(Math.abs(leaf.validToDate.getTime() - world.now() - 24 * HOUR) < HOUR, "24 hours by default");
});

test("a longer wish is cut to the maximum", async () => {
  const leaf = new X509Certificate((await ask({ validitySeconds: 365 * 24 * 3600 }))[0] ?? "");
  assert.ok(Math.abs(leaf.validToDate.getTime() - world.now() - 90 * 24 * HOUR) < HOUR);
});

const refusals: readonly {
  readonly name: string;
  readonly request: Partial<CreateCertificateRequest>;
  readonly as?: keyof typeof channels;
  readonly code: number;
  readonly says: RegExp;
}[] = [
  { name: "a bad token", request: {}, as: "bad", code: 16, says: /the token is not valid/ },
  {
    name: "an identity that is not for the caller",
    request: { metadata: { ImpersonatedIdentity: "spiffe://cluster.local/ns/a/sa/b" } },
    code: 16,
    says: /not for you/,
  },
  {
    name: "an identity that is no text",
    request: { metadata: { ImpersonatedIdentity: 7 } },
    code: 3,
    says: /ImpersonatedIdentity is not a text/,
  },
  { name: "no certificate request", request: { csr: "hello" }, code: 3, says: /./ },
  {
    name: "a request whose signature does not fit",
    request: { csr: spoiled(createCsr("spiffe://cluster.local/ns/x/sa/y").csrPem) },
    code: 3,
    says: /./,
  },
];
for (const c of refusals)
  test(`refused: ${c.name}`, async () => {
    await assert.rejects(ask(c.request, c.as), (e: Error & { code?: number; details?: string }) => {
      assert.equal(e.code, c.code);
      assert.match(e.details ?? "", c.says);
      return true;
    });
  });

/** The last byte of the signature turned over. */
function spoiled(pem: string): string {
  const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64");
  der[der.length - 1] = (der[der.length - 1] ?? 0) ^ 0xff;
  return `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString("base64").replace(/.{64}/g, "$&\n")}\n-----END CERTIFICATE REQUEST-----\n`;
}

const keys: readonly (readonly [string, ReturnType<typeof createKey>["publicKey"], boolean])[] = [
  ["P-256", generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey, true],
  ["P-384", generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey, false],
  ["RSA 2048", generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey, true],
  ["RSA 1024", generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey, false],
  ["Ed25519", generateKeyPairSync("ed25519").publicKey, false],
];
for (const [name, key, good] of keys) test(`key ${name}`, () => assert.equal(checkKey(key).ok, good));

test("a certificate never outlives the root", () => {
  const at = { now: 1_000_000, caNotAfter: 1_500_000, lifetimes: { defaultMs: 24 * HOUR, maxMs: 48 * HOUR } };
  assert.equal(validityOf(0, at).notAfter, 1_500_000);
  assert.ok(validityOf(0, at).notBefore < at.now);
});
