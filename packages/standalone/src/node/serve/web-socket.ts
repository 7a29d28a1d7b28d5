// How do exec, attach and port-forward travel over a WebSocket's channels?

import { Duplex } from "node:stream";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { WebSocket } from "ws";
import { CHANNEL, frame, parseFrame, parseResize } from "./channels.ts";
import { forward } from "./port-forward.ts";
import { flushed, type RemoteEnd } from "./remote.ts";

const READ_AHEAD = 1024 * 1024;
const PING_MS = 5_000;

type Channels = {
  /** The channel as a stream: a v5 close ends the reading; a reader that is slow holds the WebSocket back. */
  open(channel: number): Duplex;
  readonly left: AbortSignal;
};

const channelsOf = (socket: WebSocket, world: World): Channels => {
  const left = new AbortController();
  const streams = new Map<number, Duplex>();
  const ended = new Set<number>();
  const full = new Set<number>();
  const flow = (channel: number): void => {
    if (full.delete(channel) && full.size === 0) socket.resume();
  };
  socket.on("message", (data: Buffer) => {
    const message = parseFrame(data);
    if (message.kind === "invalid") return;
    const stream = streams.get(message.channel);
    if (stream === undefined || ended.has(message.channel) || stream.destroyed) return;
    if (message.kind === "close") {
      ended.add(message.channel);
      stream.push(null);
    } else if (message.bytes.length > 0 && !stream.push(message.bytes)) {
      full.add(message.channel);
      socket.pause();
    }
  });
  socket.once("close", () => {
    left.abort(new Error("the client left"));
    for (const s of streams.values()) s.destroy();
  });
  /** While a slow reader holds the WebSocket back, only a write tells that the client is gone. */
  const keepAsking = async (): Promise<void> => {
    while (!left.signal.aborted) {
      const due = await world.sleep(PING_MS, left.signal).then(
        () => true,
        () => false,
      );
      if (due && socket.readyState === socket.OPEN) socket.ping();
    }
  };
  void keepAsking();
  const open = (channel: number): Duplex => {
    const stream = new Duplex({
      readableHighWaterMark: READ_AHEAD,
      read: () => flow(channel),
      write: (bytes: Buffer, _encoding, then) => socket.send(frame(channel, bytes), then),
      destroy: (error, then) => {
        flow(channel);
        then(error);
      },
    });
    stream.on("error", () => {}); // a write after the WebSocket's end; `left` tells of that end
    streams.set(channel, stream);
    return stream;
  };
  return { open, left: left.signal };
};

/** The client of an exec or attach on the channels of v4 and v5.channel.k8s.io. */
export const remoteOnWebSocket = (socket: WebSocket, asked: { readonly stdin: boolean }, world: World): RemoteEnd => {
  const channels = channelsOf(socket, world);
  const stdin = asked.stdin ? channels.open(CHANNEL.stdin) : undefined;
  const stdout = channels.open(CHANNEL.stdout);
  const stderr = channels.open(CHANNEL.stderr);
  return {
    stdin,
    stdout,
    stderr,
    onResize: (listener) =>
      socket.on("message", (data: Buffer) => {
        const message = parseFrame(data);
        const size = message.kind === "data" && message.channel === CHANNEL.resize ? parseResize(message.bytes) : undefined;
        if (size !== undefined) listener(size);
      }),
    finish: async (status) => {
      await flushed([stdout, stderr]);
      stdin?.destroy();
      if (socket.readyState !== socket.OPEN) return;
      socket.send(frame(CHANNEL.error, Buffer.from(JSON.stringify(status))));
      socket.close(1000);
    },
    left: channels.left,
  };
};

/**
 * Port i has channel 2i for data and 2i+1 for errors; each begins with the port as two bytes, little-endian
 * (kubelet's websocket port-forward). One connection a port, as long as the WebSocket lives.
 */
export const portForwardOnWebSocket = async (
  socket: WebSocket,
  to: { readonly netnsPath: string; readonly ports: readonly number[] },
  world: World,
): Promise<void> => {
  const channels = channelsOf(socket, world);
  await Promise.all(
    to.ports.map(async (port, i) => {
      const head = Buffer.alloc(2);
      head.writeUInt16LE(port);
      const data = channels.open(2 * i);
      const errors = channels.open(2 * i + 1);
      data.write(head);
      errors.resume().write(head);
      const outcome = await forward(data, to.netnsPath, port);
      if (outcome.kind !== "ended") errors.write(outcome.message);
      await flushed([errors]);
    }),
  );
  socket.close(1000);
};
