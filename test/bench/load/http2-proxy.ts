// The tunnel that node:http2 makes: TCP in CONNECT streams over one mutual-TLS connection. Prints "ready" when it listens.
// Arguments: "client" or "server", the directory with the certificates, the far end's address, and the ports as "from:to,…"
// (a client takes connections on loopback and asks for `to`; a server listens on the last argument and dials loopback).
import { readFileSync } from "node:fs";
import { type ClientHttp2Session, connect as connectHttp2, performServerHandshake, type ServerHttp2Session } from "node:http2";
import { connect as connectTcp, createServer } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls, createSecureContext, createServer as createTls } from "node:tls";
import { contextOptions } from "@ambit/shared/tls/context.ts";
import { tunnelOf } from "../node-http2-tunnel.ts";

const [role = "", dir = "", host = "", ports = "", wire = ""] = process.argv.slice(2);
const MIB = 1 << 20;
const settings = { initialWindowSize: 4 * MIB, maxFrameSize: MIB };
const file = (name: string): string => readFileSync(`${dir}/${name}`, "utf8");
const tls = contextOptions({ keyPem: file(`${role}.key`), chainPem: [file(`${role}.crt`)], rootsPem: [file("root.pem")] });

/** Both ways, each ending on its own; what fails takes the other side with it (measurements end by cutting). */
const relay = (a: Duplex, b: Duplex): void => {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.pipe(to);
    from.on("error", () => to.destroy());
    from.on("close", () => {
      if (!from.readableEnded) to.destroy();
    });
  }
};

const listening = (): void => void process.stdout.write("ready\n");

const serve = (): void => {
  const server = createTls({ ...tls, requestCert: true, rejectUnauthorized: true, ALPNProtocols: ["h2"] });
  server.on("secureConnection", (socket) => {
    socket.on("error", () => socket.destroy());
    const session = performServerHandshake(socket, { maxSessionMemory: 1_024, settings }) as ServerHttp2Session;
    session.on("error", () => session.destroy());
    session.setLocalWindowSize(16 * MIB);
    session.on("stream", (stream, headers) => {
      const port = Number(String(headers[":authority"]).split(":")[1]);
      const socket = connectTcp({ host: "127.0.0.1", port, noDelay: true, allowHalfOpen: true });
      socket.once("connect", () => {
        stream.respond({ ":status": 200 });
        relay(tunnelOf(stream), socket);
      });
      socket.on("error", () => stream.destroy());
    });
  });
  const tcp = createServer({ noDelay: true }, (socket) => server.emit("connection", socket));
  tcp.listen({ host: "0.0.0.0", port: Number(wire) }, listening);
};

const dial = (): ClientHttp2Session => {
  const raw = connectTcp({ host, port: Number(wire), noDelay: true });
  const socket = connectTls({
    socket: raw,
    secureContext: createSecureContext(tls),
    ALPNProtocols: ["h2"],
    checkServerIdentity: () => undefined,
  });
  socket.on("error", () => socket.destroy());
  const session = connectHttp2("https://bench", { createConnection: () => socket, maxSessionMemory: 1_024, settings });
  session.on("error", () => session.destroy());
  session.once("connect", () => session.setLocalWindowSize(16 * MIB));
  return session;
};

const take = (): void => {
  // As the mesh does it: a hundred streams on a connection, then another one.
  const sessions: { readonly session: ClientHttp2Session; streams: number }[] = [];
  const pooled = () => {
    const free = sessions.find((s) => s.streams < 100 && !s.session.closed);
    if (free !== undefined) return free;
    const made = { session: dial(), streams: 0 };
    sessions.push(made);
    made.session.once("close", () => sessions.splice(sessions.indexOf(made), 1));
    return made;
  };
  const pairs = ports.split(",").map((pair) => pair.split(":").map(Number));
  let left = pairs.length;
  for (const [from, to] of pairs) {
    createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
      client.on("error", () => client.destroy());
      const connection = pooled();
      connection.streams += 1;
      const stream = connection.session.request({ ":method": "CONNECT", ":authority": `bench:${to}` }, { endStream: false });
      stream.once("close", () => {
        connection.streams -= 1;
      });
      stream.on("error", () => client.destroy());
      stream.once("response", () => relay(client, tunnelOf(stream)));
    }).listen({ host: "127.0.0.1", port: from ?? 0 }, () => {
      left -= 1;
      if (left === 0) listening();
    });
  }
};

if (role === "server") serve();
else take();
