// A nameserver for tests, on real sockets: what it answers is given by hand, byte for byte.

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { listenSocket, socketIn } from "@ambit/shared/linux/socket.ts";
import packet from "dns-packet";
import { createFrames, frame } from "../dns/stream.ts";

/** The answers to a query, sent in order; none: silence. */
export type Answers = (query: packet.DecodedPacket, bytes: Buffer, protocol: "udp" | "tcp") => readonly Buffer[];

export type Nameserver = {
  readonly port: number;
  /** "udp A www.example.com", in the order of their coming. */
  readonly asked: string[];
  answers: Answers;
  close(): Promise<void>;
};

/** An answer with the query's id and question. */
export const reply = (query: packet.DecodedPacket, over: Partial<packet.Packet> = {}): Buffer =>
  packet.encode({
    type: "response",
    id: query.id ?? 0,
    questions: query.questions ?? [],
    ...over,
    flags: (over.flags ?? 0) | packet.RECURSION_AVAILABLE | ((query.flags ?? 0) & packet.RECURSION_DESIRED),
  });

export const addressRecord = (name: string, data: string, ttl = 300): packet.Answer => ({
  type: data.includes(":") ? "AAAA" : "A",
  name,
  ttl,
  data,
});

/** Serves on the address, UDP and TCP on one port (0: the kernel's choice), in the namespace when one is given. */
export const startNameserver = async (where: { ip: string; port: number; netns?: number }, answers: Answers): Promise<Nameserver> => {
  const family = where.ip.includes(":") ? "ipv6" : "ipv4";
  const place = { ...(where.netns === undefined ? {} : { netns: where.netns }), family, reuseAddr: true } as const;
  const sockets = new Set<Socket>();
  const asked: string[] = [];
  const answer = (bytes: Buffer, protocol: "udp" | "tcp"): readonly Buffer[] => {
    const query = packet.decode(bytes);
    asked.push(`${protocol} ${query.questions?.map((q) => `${q.type} ${q.name}`).join()}`);
    return server.answers(query, bytes, protocol);
  };
  const tcp = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    const frames = createFrames(65_535);
    socket.on("data", (chunk: Buffer) => {
      const messages = frames.push(chunk);
      for (const m of messages === "too-long" ? [] : messages) for (const out of answer(m, "tcp")) socket.write(frame(out));
    });
  });
  tcp.listen({ fd: listenSocket({ ...place, bind: { ip: where.ip, port: where.port } }) });
  await once(tcp, "listening");
  const { port } = tcp.address() as { port: number };
  const udp = createSocket(family === "ipv6" ? "udp6" : "udp4");
  udp.on("message", (bytes, from) => {
    for (const out of answer(bytes, "udp")) udp.send(out, from.port, from.address);
  });
  udp.bind({ fd: socketIn({ ...place, type: "udp", bind: { ip: where.ip, port } }) });
  const server: Nameserver = {
    port,
    asked,
    answers,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      tcp.close();
      await new Promise<void>((resolve) => udp.close(() => resolve()));
    },
  };
  return server;
};
