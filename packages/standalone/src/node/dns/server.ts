// How does the node serve the cluster's DNS over UDP and TCP?

import dgram from "node:dgram";
import net from "node:net";
import { listenSocket, socketIn } from "@ambit/shared/linux/socket.ts";
import packet from "dns-packet";
import { answer } from "./answer.ts";
import type { Zone } from "./records.ts";

const UDP_LIMIT = 512;
const MAX_UDP = 1232; // no fragments (DNS flag day 2020)
const MAX_CONNECTIONS = 256;
const IDLE_MS = 10_000;
const AUTHORITATIVE = packet.AUTHORITATIVE_ANSWER;

/** The answer to a query's bytes; undefined for what is no query (it gets no answer). */
export const respond = (query: Buffer, zone: Zone): { readonly message: packet.Packet; readonly limit: number } | undefined => {
  let asked: packet.DecodedPacket;
  try {
    asked = packet.decode(query);
  } catch {
    return undefined; // dns-packet throws on any malformed message
  }
  const [question] = asked.questions ?? [];
  if (asked.type !== "query" || question === undefined) return undefined;
  const a = answer(zone, question);
  const opt = asked.additionals?.find((r) => r.type === "OPT");
  const size = opt !== undefined && "udpPayloadSize" in opt ? Math.min(MAX_UDP, Math.max(UDP_LIMIT, opt.udpPayloadSize)) : UDP_LIMIT;
  const edns: packet.Answer[] =
    opt === undefined
      ? []
      : [{ type: "OPT", name: ".", udpPayloadSize: MAX_UDP, extendedRcode: 0, ednsVersion: 0, flags: 0, flag_do: false, options: [] }];
  const flags = (a.rcode === 5 ? 0 : AUTHORITATIVE) | ((asked.flags ?? 0) & packet.RECURSION_DESIRED) | a.rcode;
  const message: packet.Packet = {
    type: "response",
    id: asked.id ?? 0,
    flags,
    questions: [question],
    answers: [...a.answers] as packet.Answer[],
    authorities: [...a.authorities] as packet.Answer[],
    additionals: [...(a.additionals as packet.Answer[]), ...edns],
  };
  return { message, limit: size };
};

/** The bytes for UDP: cut to nothing with the TC flag when they do not fit, so that the client asks again over TCP. */
const encodeUdp = ({ message, limit }: { readonly message: packet.Packet; readonly limit: number }): Buffer => {
  const whole = packet.encode(message);
  if (whole.length <= limit) return whole;
  return packet.encode({
    ...message,
    flags: (message.flags ?? 0) | packet.TRUNCATED_RESPONSE,
    answers: [],
    authorities: [],
    additionals: [],
  });
};

export type DnsServer = { close(): Promise<void> };
export type DnsListen = { readonly addresses: readonly string[]; readonly port: number; readonly netns?: number; zone(): Zone };

const serveUdp = (fd: number, family: "udp4" | "udp6", zone: () => Zone): dgram.Socket => {
  const socket = dgram.createSocket({ type: family });
  socket.on("message", (query, from) => {
    const r = respond(query, zone());
    // A reply that cannot be sent is lost as any datagram may be; the client asks again.
    if (r !== undefined) socket.send(encodeUdp(r), from.port, from.address, () => {});
  });
  socket.on("error", () => {}); // ICMP errors of clients that left
  socket.bind({ fd });
  return socket;
};

const serveTcp = (fd: number, zone: () => Zone): net.Server => {
  const server = net.createServer((socket) => {
    let buffer = Buffer.alloc(0);
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("data", (bytes: Buffer) => {
      buffer = Buffer.concat([buffer, bytes]);
      while (buffer.length >= 2 && buffer.length >= 2 + buffer.readUInt16BE(0)) {
        const length = buffer.readUInt16BE(0);
        const r = respond(buffer.subarray(2, 2 + length), zone());
        buffer = buffer.subarray(2 + length);
        if (r === undefined) {
          socket.destroy();
          return;
        }
        const out = packet.encode(r.message);
        const prefix = Buffer.alloc(2);
        prefix.writeUInt16BE(out.length);
        socket.write(Buffer.concat([prefix, out]));
      }
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  return server.listen({ fd });
};

/** Serves on every address (of this process's namespace, or of the one given). Throws LinuxError when an address is not there or taken. */
export const startDnsServer = ({ addresses, port, netns, zone }: DnsListen): DnsServer => {
  const place = netns === undefined ? {} : { netns };
  const closers: (() => Promise<unknown>)[] = [];
  for (const ip of addresses) {
    const family = ip.includes(":") ? "ipv6" : "ipv4";
    const udp = serveUdp(socketIn({ ...place, family, type: "udp", bind: { ip, port } }), family === "ipv6" ? "udp6" : "udp4", zone);
    const tcp = serveTcp(listenSocket({ ...place, family, reuseAddr: true, bind: { ip, port } }), zone);
    closers.push(
      () => new Promise<void>((resolve) => udp.close(() => resolve())),
      () => new Promise((resolve) => tcp.close(resolve)),
    );
  }
  return {
    close: async () => {
      await Promise.all(closers.map((close) => close()));
    },
  };
};
