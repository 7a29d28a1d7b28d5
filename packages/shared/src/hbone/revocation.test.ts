// Is a peer whose certificate was taken back refused, and cut off when that happens while it is connected? (real TLS, both directions)

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { type TestContext, test } from "node:test";
import type { WorkloadCert } from "../ca/types.ts";
import { workloadCert } from "../ca/workload-cert.ts";
import { asMeshError } from "../errors/mesh-error.ts";
import { spiffeId } from "../identity/spiffe.ts";
import { unwrap } from "../runtime/result.ts";
import { realWorld } from "../runtime/run.ts";
import { parseCertificate } from "../tls/certificate.ts";
import { createCrl } from "../tls/crl-issue.ts";
import { type CertificateAuthority, createIntermediate, createKey, createRoot, issueLeaf } from "../tls/issue.ts";
import { createRevocations, type Revocations } from "../tls/revocations.ts";
import { serveTunnels } from "./accept.ts";
import { echo, fails } from "./fixture.ts";
import { createTunnelPool } from "./pool.ts";
import type { TunnelPool } from "./types.ts";

const HOUR = 3_600_000;
const now = Date.now();
const span = { notBefore: now - HOUR, notAfter: now + HOUR };
const root = createRoot({ ...span, organization: "test" });
const [theirs, ours] = ["remote", "local"].map((commonName) => createIntermediate(root, { ...span, organization: "test", commonName })) as [
  CertificateAuthority,
  CertificateAuthority,
];
const ids = { client: spiffeId("cluster.local", "ns", "client"), server: spiffeId("cluster.local", "ns", "server") };
const certOf = (ca: CertificateAuthority, id: typeof ids.client): WorkloadCert => {
  const { keyPem, publicKey } = createKey();
  const leaf = issueLeaf(ca, { ...span, publicKey, uris: [id.uri] });
  return unwrap(workloadCert(id, { keyPem, certChain: [leaf, ca.certPem, root.certPem] }));
};
const certs = { client: certOf(ours, ids.client), server: certOf(theirs, ids.server) };
const serial = (pem: string | undefined): string => unwrap(parseCertificate(pem ?? "")).serial;
const revoking = (ca: CertificateAuthority, ...serials: string[]): Buffer =>
  Buffer.from(createCrl(ca, { revoked: serials.map((s) => ({ serial: s, at: now })), number: 1, thisUpdate: now, nextUpdate: now + HOUR }));

type Checked = { readonly client?: Revocations; readonly server?: Revocations };
type World = {
  readonly pool: TunnelPool;
  readonly logs: string[];
  connect(): ReturnType<TunnelPool["connect"]>;
  logged(pattern: RegExp): Promise<void>;
};

const start = async (t: TestContext, { client, server: destination }: Checked): Promise<World> => {
  const world = realWorld();
  const logs: string[] = [];
  const waiting = new Set<() => void>();
  const server = await serveTunnels({
    listen: { host: "127.0.0.1", port: 0 },
    certs: () => certs.server,
    trustDomain: "cluster.local",
    onRequest: echo,
    world,
    log: (event, fields) => {
      logs.push(`${event} ${JSON.stringify(fields)}`);
      for (const look of [...waiting]) look();
    },
    ...(destination === undefined ? {} : { peers: destination.check("destination") }),
  });
  const pool = createTunnelPool({
    cert: async () => certs.client,
    dial: async (to) => {
      const socket = connectTcp({ host: to.ip, port: to.port });
      await once(socket, "connect");
      return socket;
    },
    world,
    ...(client === undefined ? {} : { peers: client.check("source") }),
  });
  t.after(() => {
    pool.close();
    server.close();
  });
  const { address } = server;
  assert.ok(address !== undefined);
  return {
    pool,
    logs,
    connect: () =>
      pool.connect({ self: ids.client, expect: [ids.server], to: address, from: "" }, { authority: "10.0.0.9:80", headers: {} }),
    logged: (pattern) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!logs.some((l) => pattern.test(l))) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
  };
};

const counting = (): Revocations & { counts: Record<string, number> } => {
  const counts: Record<string, number> = {};
  const count = (what: string) => (reporter: string) => {
    counts[`${what} ${reporter}`] = (counts[`${what} ${reporter}`] ?? 0) + 1;
  };
  return { ...createRevocations({ rejected: count("rejected"), untracked: count("untracked") }), counts };
};

/** An open tunnel that carries bytes, and why it ended. */
const established = async (w: World): Promise<{ ended: Promise<Error | undefined> }> => {
  const { stream } = await w.connect();
  stream.write("x");
  await once(stream, "data");
  const ended = new Promise<Error | undefined>((resolve) => {
    stream.once("error", resolve);
    stream.once("close", () => resolve(undefined));
  });
  return { ended };
};

test("crl_outbound_rejects_revoked_cert: leaf and intermediate of the destination", { timeout: 10_000 }, async (t) => {
  for (const file of [revoking(theirs, serial(certs.server.chainPem[0])), revoking(root, serial(certs.server.chainPem[1]))]) {
    const client = counting();
    const w = await start(t, { client });
    await established(w);
    unwrap(client.load(file));
    await fails(w.connect(), "CERT_REVOKED", /has been revoked \(serial number [0-9A-F]+\)/);
    assert.deepEqual(w.pool.stats(), { connections: 0, streams: 0 });
  }
});

test("crl_inbound_rejects_revoked_cert: leaf and intermediate of the source", { timeout: 10_000 }, async (t) => {
  for (const file of [revoking(ours, serial(certs.client.chainPem[0])), revoking(root, serial(certs.client.chainPem[1]))]) {
    const server = counting();
    unwrap(server.load(file));
    const w = await start(t, { server });
    await fails(w.connect(), "TLS", /may have refused our certificate|closed/);
    await w.logged(/tunnel connection refused .*sa\/client.*has been revoked/);
    assert.deepEqual(server.counts, { "rejected destination": 1 });
  }
});

test("crl_outbound_terminates_existing_connection_on_revocation", { timeout: 10_000 }, async (t) => {
  const client = counting();
  const w = await start(t, { client });
  const { ended } = await established(w);
  unwrap(client.load(revoking(theirs, "0123")));
  assert.equal(w.pool.stats().connections, 1, "lists that name somebody else cut nobody");
  unwrap(client.load(revoking(root, serial(certs.server.chainPem[1]))));
  assert.equal(asMeshError(await ended, "CONNECT").code, "CERT_REVOKED");
  assert.deepEqual([w.pool.stats(), client.counts], [{ connections: 0, streams: 0 }, { "rejected source": 1 }]);
});

test("crl_inbound_terminates_existing_connection_on_revocation", { timeout: 10_000 }, async (t) => {
  const server = counting();
  const w = await start(t, { server });
  const { ended } = await established(w);
  unwrap(server.load(revoking(ours, serial(certs.client.chainPem[0]))));
  await ended;
  await w.logged(/tunnel connection failed .*has been revoked/);
  assert.deepEqual(server.counts, { "rejected destination": 1 });
});
