// Peers that lie: wrong identities, wrong authorities, calls straight to ztunnel's own ports.
import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { connect as connectHttp2 } from "node:http2";
import { test } from "node:test";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import type { Secret } from "@ambit/shared/kube/objects/core.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { type CertificateAuthority, createKey, createRoot, issueLeaf } from "@ambit/shared/tls/issue.ts";
import { dial, fate, type Place, type To } from "../../world/net.ts";
import { within } from "../../world/until.ts";
import type { Context } from "../context.ts";
import { PORTS } from "../fixture.ts";

const HOUR = 3_600_000;

/** The mesh's own root, as its Secret holds it: what an attacker with less than that can do is less. */
const meshRoot = async (ctx: Context): Promise<CertificateAuthority> => {
  const secret = await ctx.cluster.client.get<Secret>(RESOURCES.secrets, { namespace: "istio-system", name: "istio-ca-secret" });
  const pem = (key: string): string => Buffer.from(secret?.data?.[key] ?? "", "base64").toString();
  return { certPem: pem("ca-cert.pem"), keyPem: pem("ca-key.pem") };
};

type Papers = { uri?: string; from?: number; until?: number; root?: CertificateAuthority };

const papers = (root: CertificateAuthority, p: Papers): ConnectionOptions => {
  if (p.uri === undefined) return {};
  const key = createKey();
  const now = Date.now();
  const cert = issueLeaf(p.root ?? root, {
    publicKey: createPublicKey(key.keyPem),
    uris: [p.uri],
    notBefore: now + (p.from ?? -HOUR),
    notAfter: now + (p.until ?? HOUR),
  });
  return { key: key.keyPem, cert };
};

/** Asks for a CONNECT over mTLS; the status, or "refused" when the handshake or connection fails. */
const connectAs = async (
  place: Place,
  to: To,
  tls: ConnectionOptions,
  ask: { authority: string; method?: string },
): Promise<number | "refused"> => {
  // A TLS client does not keep its half open: the server's end is the end.
  const tcp = await dial(place, to, { allowHalfOpen: false });
  const secure = connectTls({ socket: tcp, ALPNProtocols: ["h2"], minVersion: "TLSv1.3", rejectUnauthorized: false, ...tls });
  const session = connectHttp2("https://ztunnel", { createConnection: () => secure });
  try {
    const answer = new Promise<number | "refused">((resolve) => {
      const refused = (): void => resolve("refused");
      secure.on("error", refused).on("close", refused);
      session.on("error", refused).on("close", refused);
      const method = ask.method ?? "CONNECT";
      const rest = method === "CONNECT" ? {} : { ":scheme": "https", ":path": "/" };
      const stream = session.request({ ":method": method, ":authority": ask.authority, ...rest }, { endStream: false });
      stream.on("error", refused).on("response", (h) => resolve(Number(h[":status"])));
    });
    return await within("an answer to CONNECT, or its refusal", answer, 10_000);
  } finally {
    session.destroy();
    secure.destroy();
    tcp.destroy();
  }
};

export const hostile = (ctx: () => Context): void => {
  const CLIENT = "spiffe://cluster.local/ns/mesh/sa/client";
  type Case = {
    name: string;
    papers: (ip: string) => Papers;
    authority?: (ip: string) => string;
    method?: string;
    want: number | "refused";
  };
  const foreign = createRoot({ organization: "elsewhere", notBefore: Date.now() - HOUR, notAfter: Date.now() + HOUR });
  const cases: Case[] = [
    { name: "a good certificate and the pod's own address: 200", papers: () => ({ uri: CLIENT }), want: 200 },
    {
      name: "another trust domain (trust_domain_mismatch_rejected)",
      papers: () => ({ uri: "spiffe://elsewhere.local/ns/mesh/sa/client" }),
      want: "refused",
    },
    { name: "an expired certificate", papers: () => ({ uri: CLIENT, from: -2 * HOUR, until: -HOUR }), want: "refused" },
    { name: "a certificate that is not valid yet", papers: () => ({ uri: CLIENT, from: HOUR, until: 2 * HOUR }), want: "refused" },
    { name: "a root of somebody else's", papers: () => ({ uri: CLIENT, root: foreign }), want: "refused" },
    { name: "no certificate", papers: () => ({}), want: "refused" },
    { name: "a certificate without a SPIFFE id", papers: () => ({ uri: "https://cluster.local/ns/mesh/sa/client" }), want: "refused" },
    {
      name: "CONNECT to an address that is not the pod's (hbone_ip_mismatch)",
      papers: () => ({ uri: CLIENT }),
      authority: () => `10.244.9.9:${PORTS.echo}`,
      want: 400,
    },
    { name: "CONNECT to nonsense", papers: () => ({ uri: CLIENT }), authority: () => "no-port", want: 400 },
    { name: "GET instead of CONNECT", papers: () => ({ uri: CLIENT }), method: "GET", want: 400 },
    {
      name: "CONNECT to ztunnel's own port through the tunnel",
      papers: () => ({ uri: CLIENT }),
      authority: (ip) => `${ip}:15001`,
      want: 400,
    },
    { name: "CONNECT to a port nobody listens on: 503", papers: () => ({ uri: CLIENT }), authority: (ip) => `${ip}:4444`, want: 503 },
  ];
  for (const c of cases)
    test(`15008: ${c.name}`, async () => {
      const x = ctx();
      const ip = await x.ip("mesh/server2");
      const authority = c.authority?.(ip) ?? `${ip}:${PORTS.echo}`;
      const ask = c.method === undefined ? { authority } : { authority, method: c.method };
      const got = await connectAs(await x.place("plain/client"), { host: ip, port: 15008 }, papers(await meshRoot(x), c.papers(ip)), ask);
      assert.equal(got, c.want);
    });

  for (const from of ["mesh/client1", "plain/client"])
    for (const port of [15001, 15006, 15008])
      test(`malicious_calls_inpod: ${from} straight to ${port}, by pod IP, VIP and localhost`, async () => {
        const x = ctx();
        const place = await x.place(from);
        const hosts = [
          await x.ip("mesh/server1"),
          await x.ip("mesh/server2"),
          await x.vip("mesh", "server"),
          ...(from.startsWith("mesh/") ? ["127.0.0.1", "::1"] : []),
        ];
        for (const host of hosts) {
          const end = await fate(place, { host, port }, "GET / HTTP/1.1\r\n\r\n");
          assert.match(end, /refused|reset|closed|unreachable|silent/, `${host}:${port}`);
        }
      });

  test("after all that, the pod still serves", async () => {
    const x = ctx();
    assert.equal(await fate(await x.place("mesh/client1"), { host: await x.ip("mesh/server2"), port: PORTS.echo }, "x"), "open");
  });
};
