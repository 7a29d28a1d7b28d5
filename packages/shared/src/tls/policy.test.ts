// Is what is spoken what was told, and nothing weaker with anybody? (node and openssl as the other side)

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect as connectTcp } from "node:net";
import { type TestContext, test } from "node:test";
import { connect, createServer, type SecureContextOptions, type TLSSocket } from "node:tls";
import { testAuthority } from "../ca/fixture.ts";
import { serveTunnels } from "../hbone/accept.ts";
import { fails, loopback } from "../hbone/fixture.ts";
import { createTunnelPool } from "../hbone/pool.ts";
import { spiffeId } from "../identity/spiffe.ts";
import { unwrap } from "../runtime/result.ts";
import { realWorld } from "../runtime/run.ts";
import { clientContext, contextOptions } from "./context.ts";
import { DEFAULT_TLS, parseCompliance, policyOptions, type TlsPolicy, tlsPolicy } from "./policy.ts";

const authority = testAuthority();
const id = spiffeId("cluster.local", "ns", "a");
const cert = authority.cert(id);
const pqc = unwrap(tlsPolicy({ compliance: "pqc", tls12: false }));
const tls12 = unwrap(tlsPolicy({ compliance: "none", tls12: true }));
const under = (tls: TlsPolicy): SecureContextOptions => contextOptions({ ...cert, tls });

const listening = async (t: TestContext, options: SecureContextOptions): Promise<{ port: number; failures: string[] }> => {
  const failures: string[] = [];
  const server = createServer(options, (socket) => socket.on("error", () => undefined).resume()).listen(0, "127.0.0.1");
  server.on("tlsClientError", (e) => void failures.push(e.message));
  t.after(() => server.close());
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, failures };
};

/** The version that both agreed on, or "refused". */
const agreed = async (port: number, options: SecureContextOptions): Promise<string> => {
  const socket: TLSSocket = connect({ host: "127.0.0.1", port, ...options, checkServerIdentity: () => undefined });
  try {
    await once(socket, "secureConnect");
    return socket.getProtocol() ?? "";
  } catch {
    return "refused";
  } finally {
    socket.on("error", () => undefined).destroy();
  }
};

const peer = (over: SecureContextOptions): SecureContextOptions => ({ ca: cert.rootsPem[0] ?? "", ...over });
const TLS12: SecureContextOptions = { minVersion: "TLSv1.2", maxVersion: "TLSv1.2" };
const meetings: { name: string; ours: TlsPolicy; theirs: SecureContextOptions; want: string }[] = [
  { name: "default with a classical peer", ours: DEFAULT_TLS, theirs: { ecdhCurve: "X25519" }, want: "TLSv1.3" },
  { name: "default with a post-quantum peer", ours: DEFAULT_TLS, theirs: { ecdhCurve: "X25519MLKEM768" }, want: "TLSv1.3" },
  { name: "default with TLS 1.2", ours: DEFAULT_TLS, theirs: TLS12, want: "refused" },
  { name: "pqc with a post-quantum peer", ours: pqc, theirs: { ecdhCurve: "X25519:X25519MLKEM768" }, want: "TLSv1.3" },
  { name: "pqc with a classical peer", ours: pqc, theirs: { ecdhCurve: "X25519:P-256" }, want: "refused" },
  { name: "pqc with TLS 1.2", ours: pqc, theirs: TLS12, want: "refused" },
  { name: "TLS12_ENABLED with TLS 1.2", ours: tls12, theirs: TLS12, want: "TLSv1.2" },
  { name: "TLS12_ENABLED with TLS 1.3", ours: tls12, theirs: {}, want: "TLSv1.3" },
  { name: "TLS12_ENABLED with CBC", ours: tls12, theirs: { ...TLS12, ciphers: "ECDHE-ECDSA-AES128-SHA256" }, want: "refused" },
  { name: "TLS12_ENABLED with TLS 1.1", ours: tls12, theirs: { minVersion: "TLSv1.1", maxVersion: "TLSv1.1" }, want: "refused" },
];
for (const m of meetings) {
  test(`as server: ${m.name}`, { timeout: 10_000 }, async (t) => {
    const { port } = await listening(t, under(m.ours));
    assert.equal(await agreed(port, peer(m.theirs)), m.want);
  });
  test(`as client: ${m.name}`, { timeout: 10_000 }, async (t) => {
    const { port } = await listening(t, { key: cert.keyPem, cert: cert.chainPem.join(""), ...m.theirs });
    assert.equal(await agreed(port, under(m.ours)), m.want);
  });
}

/** What `openssl s_client` makes of our server. */
const sClient = async (port: number): Promise<string> => {
  const child = spawn("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, "-groups", "X25519", "-brief"], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (d: Buffer) => void said.push(d.toString()));
  child.stdin.end();
  await once(child, "close");
  return said.join("");
};
test("openssl with X25519 alone: met by default, refused under pqc", { timeout: 20_000 }, async (t) => {
  assert.match(await sClient((await listening(t, under(DEFAULT_TLS))).port), /TLSv1\.3/);
  const { port, failures } = await listening(t, under(pqc));
  assert.match(await sClient(port), /handshake failure/);
  assert.match(failures.join(), /no suitable key share/);
});

test("a tunnel under pqc says why a classical peer is refused, on both sides", { timeout: 10_000 }, async (t) => {
  const world = realWorld();
  const strict = { ...cert, tls: pqc, clientContext: clientContext({ ...cert, tls: pqc }) };
  const old = { ...DEFAULT_TLS, ecdhCurve: "X25519" };
  const classic = { ...cert, tls: old, clientContext: clientContext({ ...cert, tls: old }) };
  for (const [ours, theirs, side] of [
    [strict, classic, "client"],
    [classic, strict, "server"],
  ] as const) {
    const logs: string[] = [];
    const server = await serveTunnels({
      listen: { host: "127.0.0.1", port: 0 },
      certs: () => theirs,
      trustDomain: "cluster.local",
      onRequest: (r) => r.reject(404),
      world,
      log: (e, f) => void logs.push(`${e} ${JSON.stringify(f)}`),
    });
    const dial = async () => {
      const socket = connectTcp(server.address.port, "127.0.0.1");
      await once(socket, "connect");
      return socket;
    };
    const pool = createTunnelPool({ cert: async () => ours, dial, world });
    t.after(() => {
      pool.close();
      server.close();
    });
    const target = { self: id, expect: [id], to: { ip: loopback, port: server.address.port }, from: "" };
    const says = /the peer has no post-quantum key exchange, and COMPLIANCE_POLICY=pqc allows X25519MLKEM768 only/;
    await fails(pool.connect(target, { authority: "10.0.0.1:80", headers: {} }), "TLS", side === "client" ? says : /./);
    if (side === "server") assert.match(logs.join("\n"), says);
  }
});

test("COMPLIANCE_POLICY", () => {
  assert.deepEqual(parseCompliance("pqc"), { ok: true, value: "pqc" });
  for (const bad of ["fips-140-2", "FIPS-140-3", "PQC", "yes"]) assert.ok(!parseCompliance(bad).ok, bad);
  assert.ok(!tlsPolicy({ compliance: "pqc", tls12: true }).ok);
  assert.equal("compliance" in policyOptions(pqc), false, "node:tls gets what it knows");
});
