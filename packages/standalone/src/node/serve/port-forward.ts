// How does a client's stream reach a port inside a pod?

import net from "node:net";
import type { Duplex } from "node:stream";
import { openNetns } from "@ambit/shared/linux/netns.ts";
import { socketIn } from "@ambit/shared/linux/socket.ts";

/** Dials the pod's loopback from inside its namespace. Throws when the namespace is gone. */
const dial = (netnsPath: string, port: number): net.Socket => {
  using netns = openNetns(netnsPath);
  const socket = new net.Socket({ fd: socketIn({ netns: netns.fd, family: "ipv4" }), allowHalfOpen: true });
  return socket.connect({ host: "127.0.0.1", port });
};

/** How a forwarded connection went: the pod said its last word, it took no connection, or it (or the client) cut one. */
export type Forwarded =
  | { readonly kind: "ended" }
  | { readonly kind: "refused"; readonly message: string }
  | { readonly kind: "cut"; readonly message: string };

/** Joins the stream with the port, half-closes and cuts included; resolves when nothing more comes from the pod. */
export const forward = (data: Duplex, netnsPath: string, port: number): Promise<Forwarded> => {
  const failed = (kind: "refused" | "cut", e: unknown): Forwarded => ({
    kind,
    message: `port ${port} of the pod: ${e instanceof Error ? e.message : String(e)}`,
  });
  return new Promise((resolve) => {
    let connection: net.Socket;
    try {
      connection = dial(netnsPath, port);
    } catch (e) {
      data.resume();
      data.end();
      resolve(failed("refused", e));
      return;
    }
    let connected = false;
    data.pipe(connection);
    connection.once("connect", () => {
      connected = true;
      connection.pipe(data);
    });
    connection.on("error", (e) => {
      data.unpipe(connection).resume();
      if (connection.readableEnded) return; // the pod had said all; only what the client still sends is lost
      resolve(failed(connected ? "cut" : "refused", e));
      if (connected) data.destroy();
      else data.end();
    });
    data.once("finish", () => resolve({ kind: "ended" }));
    data.once("close", () => {
      resolve(failed("cut", "the client left"));
      if (!data.readableEnded || !data.writableFinished) connection.destroy();
    });
  });
};
