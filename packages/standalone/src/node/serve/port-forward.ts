// How do connections to a pod's ports travel over a WebSocket?

import net from "node:net";
import { openNetns } from "@ambit/shared/linux/netns.ts";
import { socketIn } from "@ambit/shared/linux/socket.ts";
import type { WebSocket } from "ws";
import { frame, parseFrame } from "./channels.ts";
import { writeOrWait } from "./exec.ts";

const HIGH_WATER = 1024 * 1024;

/** Dials the pod's loopback from inside its namespace. */
const dial = (netnsPath: string, port: number): net.Socket => {
  using netns = openNetns(netnsPath);
  const socket = new net.Socket({ fd: socketIn({ netns: netns.fd, family: "ipv4" }) });
  return socket.connect({ host: "127.0.0.1", port });
};

/**
 * Port i has channel 2i for data and 2i+1 for errors; each begins with the port as two bytes, little-endian
 * (kubelet's websocket port-forward). One connection a port, as long as the WebSocket lives.
 */
export const servePortForward = (socket: WebSocket, netnsPath: string, ports: readonly number[]): void => {
  const connections = ports.map((port, i) => {
    const head = Buffer.alloc(2);
    head.writeUInt16LE(port);
    socket.send(frame(2 * i, head));
    socket.send(frame(2 * i + 1, head));
    const connection = dial(netnsPath, port);
    connection.on("data", (bytes: Buffer) => {
      if (socket.readyState !== socket.OPEN) return;
      if (socket.bufferedAmount > HIGH_WATER) connection.pause();
      socket.send(frame(2 * i, bytes), () => connection.resume());
    });
    connection.on("error", (e) => {
      if (socket.readyState === socket.OPEN) socket.send(frame(2 * i + 1, Buffer.from(`port ${port} of the pod: ${e.message}`)));
    });
    connection.on("close", () => {
      if (connections.every((c) => c.destroyed)) socket.close(1000);
    });
    return connection;
  });
  socket.on("message", (data: Buffer) => {
    const message = parseFrame(data);
    if (message.kind === "data" && message.channel % 2 === 0) writeOrWait(socket, connections[message.channel / 2], message.bytes);
    if (message.kind === "close") connections[message.channel / 2]?.end();
  });
  socket.once("close", () => {
    for (const c of connections) c.destroy();
  });
};
