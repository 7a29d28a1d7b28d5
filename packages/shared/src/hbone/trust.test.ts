// Is nobody trusted who must not be, in either direction?

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { testAuthority } from "../ca/fixture.ts";
import { spiffeId } from "../identity/spiffe.ts";
import { clientContext as createContext } from "../tls/context.ts";
import { echo, fails, type TunnelWorld, tunnelWorld } from "./fixture.ts";
import type { TunnelRequest } from "./types.ts";

const HOUR = 3_600_000;

test("who is not expected is refused before anything is sent", { timeout: 10_000 }, async (t) => {
  const asked: string[] = [];
  const onRequest = (r: TunnelRequest) => void asked.push(r.authority);
  const other = spiffeId("cluster.local", "ns", "other");
  const wrong = await tunnelWorld(t, { onRequest, expect: [other] });
  await fails(wrong.connect(), "TLS", /the peer is spiffe:\/\/cluster.local\/ns\/ns\/sa\/server, not spiffe:.*\/sa\/other/);
  const nobody = await tunnelWorld(t, { onRequest, expect: [] });
  await fails(nobody.connect(), "TLS", /no identity is expected/);
  const stranger = await tunnelWorld(t, { onRequest, serverCert: (_, id) => strangers.cert(id) });
  await fails(stranger.connect(), "TLS", /self-signed certificate in certificate chain|unable to verify|unable to get/);
  const expired = await tunnelWorld(t, { onRequest, serverCert: (a, id) => a.cert(id, { notAfter: Date.now() - 1000 }) });
  await fails(expired.connect(), "TLS", /certificate has expired/);
  const none = await tunnelWorld(t, { onRequest, serverCert: () => undefined });
  await fails(none.connect(), "TLS", /closed the connection|socket disconnected|ECONNRESET/i);
  assert.deepEqual(asked, []);
  assert.match(JSON.stringify(none.logs), /we have no certificate/);
});
const strangers = testAuthority();

test("a client who is not one of ours is refused: another trust domain, expired, another root", { timeout: 10_000 }, async (t) => {
  const asked: string[] = [];
  const onRequest = (r: TunnelRequest) => void asked.push(r.authority);
  const cases = [
    {
      clientCert: (a: typeof strangers) => a.cert(spiffeId("evil.local", "ns", "client")),
      log: /of another trust domain than cluster.local/,
    },
    {
      clientCert: (a: typeof strangers) => ({
        // Expired, but the client itself does not notice.
        ...a.cert(spiffeId("cluster.local", "ns", "client"), { notAfter: Date.now() - 1000 }),
        notAfter: Date.now() + HOUR,
      }),
      log: /CERT_HAS_EXPIRED|certificate has expired|expired/,
    },
    {
      clientCert: (a: typeof strangers) => {
        const ours = a.cert(spiffeId("cluster.local", "ns", "client"));
        const theirs = strangers.cert(spiffeId("cluster.local", "ns", "client"));
        const mixed = contextMix(theirs, ours.rootsPem);
        return { ...theirs, ...mixed };
      },
      log: /UNABLE_TO_VERIFY_LEAF_SIGNATURE|self-signed/,
    },
  ];
  for (const c of cases) {
    const w = await tunnelWorld(t, { onRequest, clientCert: c.clientCert });
    await fails(w.connect(), "TLS", /may have refused our certificate|closed|disconnected/);
    assert.match(JSON.stringify(w.logs), c.log);
    assert.deepEqual(w.pool.stats(), { connections: 0, streams: 0 });
  }
  assert.deepEqual(asked, []);
});
const contextMix = (cert: ReturnType<typeof strangers.cert>, rootsPem: readonly string[]) => ({
  rootsPem,
  clientContext: createContext({ keyPem: cert.keyPem, chainPem: cert.chainPem, rootsPem }),
});

test("no certificate, TLS 1.2 and no ALPN are refused", { timeout: 10_000 }, async (t) => {
  const w = await tunnelWorld(t, { onRequest: echo });
  const { keyPem, chainPem, rootsPem } = w.authority.cert(w.client);
  const own = { key: keyPem, cert: chainPem.join("") };
  const base = { host: "127.0.0.1", port: w.server.address.port, ca: [...rootsPem], checkServerIdentity: () => undefined };
  for (const options of [
    { ...base, ALPNProtocols: ["h2"] },
    { ...base, ...own, ALPNProtocols: ["h2"], maxVersion: "TLSv1.2" as const },
    { ...base, ...own },
    { ...base, ...own, ALPNProtocols: ["http/1.1"] },
  ]) {
    const socket = connectTls(options);
    socket.on("error", () => undefined);
    socket.resume();
    await new Promise((resolve) => socket.once("close", resolve));
  }
});

/** A TLS connection to the server as one of its good clients, secured. */
const secured = async (w: TunnelWorld, over: { ecdhCurve?: string } = {}): Promise<TLSSocket> => {
  const cert = w.authority.cert(w.client);
  const socket = connectTls({
    host: "127.0.0.1",
    port: w.server.address.port,
    ...(over.ecdhCurve === undefined
      ? { secureContext: cert.clientContext }
      : { key: cert.keyPem, cert: cert.chainPem.join(""), ca: w.authority.rootPem, ecdhCurve: over.ecdhCurve }),
    ALPNProtocols: ["h2"],
    checkServerIdentity: () => undefined,
  });
  await once(socket, "secureConnect");
  return socket;
};

test("our server agrees on a post-quantum key where that is all a client offers", { timeout: 10_000 }, async (t) => {
  const w = await tunnelWorld(t, { onRequest: echo });
  const socket = await secured(w, { ecdhCurve: "X25519MLKEM768" });
  assert.equal(socket.getProtocol(), "TLSv1.3");
  socket.destroy();
});

test("our client offers the post-quantum group first", { timeout: 10_000 }, async (t) => {
  const w = await tunnelWorld(t, { onRequest: echo });
  const listener = createServer().listen(0, "127.0.0.1");
  t.after(() => listener.close());
  await once(listener, "listening");
  const client = connectTls({
    host: "127.0.0.1",
    port: (listener.address() as AddressInfo).port,
    secureContext: w.authority.cert(w.client).clientContext,
  });
  client.on("error", () => undefined); // nobody answers: the hello is all that is wanted
  const [peer] = (await once(listener, "connection")) as [Socket];
  let hello = Buffer.alloc(0);
  while (hello.length < 5 || hello.length < 5 + hello.readUInt16BE(3))
    hello = Buffer.concat([hello, (await once(peer, "data"))[0] as Buffer]);
  client.destroy();
  peer.destroy();
  assert.equal(firstGroup(hello), 0x11ec, "X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem)");
});

/** The first of the supported groups in a record that holds a ClientHello (RFC 8446 section 4.1.2). */
const firstGroup = (record: Buffer): number | undefined => {
  let at = 5 + 4 + 2 + 32; // record header, handshake header, version, random
  at += 1 + record.readUInt8(at); // session id
  at += 2 + record.readUInt16BE(at); // cipher suites
  at += 1 + record.readUInt8(at); // compression
  for (at += 2; at + 4 <= record.length; at += 4 + record.readUInt16BE(at + 2))
    if (record.readUInt16BE(at) === 10) return record.readUInt16BE(at + 6);
  return undefined;
};

test("another method than CONNECT is the handler's to refuse, with 400", { timeout: 10_000 }, async (t) => {
  const w = await tunnelWorld(t, { onRequest: (r) => (r.method === "CONNECT" ? echo(r) : r.reject(400)) });
  const socket = await secured(w);
  const session = connectHttp2("https://x", { createConnection: () => socket });
  for (const method of ["GET", "POST"]) {
    const stream = session.request({ ":method": method, ":path": "/" }, { endStream: method === "GET" });
    const [headers] = await once(stream, "response");
    assert.equal(headers[":status"], 400);
    stream.close();
  }
  session.destroy();
});

test("a renewed certificate is used for the next connection", { timeout: 10_000 }, async (t) => {
  const authority = testAuthority();
  const id = spiffeId("cluster.local", "ns", "server");
  const certs = [authority.cert(id), authority.cert(id)];
  let at = 0;
  const w = await tunnelWorld(t, { onRequest: echo, serverCert: () => certs[at], clientCert: (_, c) => authority.cert(c) });
  const seen = async () => {
    const cert = authority.cert(w.client);
    const socket = connectTls({
      host: "127.0.0.1",
      port: w.server.address.port,
      secureContext: cert.clientContext,
      ALPNProtocols: ["h2"],
      checkServerIdentity: () => undefined,
    });
    await once(socket, "secureConnect");
    const serial = socket.getPeerX509Certificate()?.serialNumber;
    socket.destroy();
    return serial;
  };
  assert.equal(await seen(), certs[0]?.leaf.serial);
  at = 1;
  assert.equal(await seen(), certs[1]?.leaf.serial);
});
