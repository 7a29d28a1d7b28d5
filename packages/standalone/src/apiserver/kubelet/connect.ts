// How do log requests and upgraded connections reach a pod's kubelet over its unix socket?

import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import type { Duplex } from "node:stream";
import { ApiError } from "../model/errors.ts";
import type { Api, Exchange } from "../rest/api.ts";
import type { ResourcePath } from "../rest/path.ts";
import { type KubeletTarget, kubeletTarget } from "./target.ts";

const unreachable = (target: KubeletTarget, e: unknown): ApiError =>
  new ApiError(
    503,
    "ServiceUnavailable",
    `the kubelet at ${target.socketPath} cannot be reached: ${e instanceof Error ? e.message : String(e)}`,
    {},
    { cause: e },
  );

const textOf = async (from: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = [];
  for await (const c of from) chunks.push(Buffer.isBuffer(c) ? c : Buffer.from(String(c)));
  return Buffer.concat(chunks).toString("utf8");
};

const get = async (target: KubeletTarget, signal: AbortSignal): Promise<IncomingMessage> => {
  const out = request({ socketPath: target.socketPath, path: target.path, method: "GET", signal });
  out.end();
  try {
    const [response]: IncomingMessage[] = await once(out, "response");
    if (response === undefined) throw new Error("no response");
    return response;
  } catch (e) {
    throw unreachable(target, e);
  }
};

/** Streams a container's log to the client, for as long as the kubelet sends (`follow`) and the client stays. */
export const serveLog = async (x: Exchange, path: ResourcePath, api: Api): Promise<void> => {
  const call = { namespace: path.namespace ?? "", name: path.name ?? "", subresource: "log", query: x.url.searchParams };
  const target = kubeletTarget(call, api.store.committed);
  const response = await get(target, x.signal);
  const code = response.statusCode ?? 500;
  if (code !== 200)
    throw new ApiError(code, code === 404 ? "NotFound" : code < 500 ? "BadRequest" : "InternalError", (await textOf(response)).trim(), {});
  const out = x.stream(200, { "content-type": "text/plain" });
  try {
    for await (const chunk of response) if (!out.write(chunk)) await out.drained();
  } catch (e) {
    // The client left: nobody is there to be told. Any other end is a cut the client must see.
    if (x.signal.aborted) return;
    out.abort();
    throw e;
  }
  out.end();
};

/** Headers that belong to the upgrade or describe the stream; credentials stay here. */
const forwarded = (request: IncomingMessage): { [name: string]: string | string[] } => {
  const out: { [name: string]: string | string[] } = { host: "kubelet" };
  for (const [name, value] of Object.entries(request.headers))
    if (
      value !== undefined &&
      (name === "connection" || name === "upgrade" || name.startsWith("sec-websocket-") || name.startsWith("x-stream-protocol"))
    )
      out[name] = value;
  return out;
};

const head = (response: IncomingMessage): string => {
  const lines = [`HTTP/1.1 ${response.statusCode} ${response.statusMessage ?? ""}`];
  for (let i = 0; i < response.rawHeaders.length; i += 2) lines.push(`${response.rawHeaders[i]}: ${response.rawHeaders[i + 1]}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
};

/** Carries one direction: bytes, their end, and (only after what was sent has left) the loss of the sender. */
const carry = (from: Duplex, to: Duplex): void => {
  from.pipe(to);
  from.once("close", () => {
    if (!from.readableEnded) {
      to.destroy();
      return;
    }
    // Both ends of it are over: what the other still sends has no reader.
    to.resume();
    if (to.writableFinished) to.destroy();
    else to.once("finish", () => to.destroy());
  });
};

/** Joins two connections byte for byte; the end of either ends the other. */
const join = (a: Duplex, b: Duplex): void => {
  for (const s of [a, b]) s.on("error", () => s.destroy());
  carry(a, b);
  carry(b, a);
};

/** Passes an upgrade (WebSocket or SPDY) through; the kubelet speaks the protocol, this server only carries it. Throws ApiError while it can still be answered. */
export const connectUpgrade = async (
  incoming: IncomingMessage,
  client: { socket: Duplex; head: Buffer },
  target: KubeletTarget,
): Promise<void> => {
  const out = request({ socketPath: target.socketPath, path: target.path, method: incoming.method, headers: forwarded(incoming) });
  // A client that gives up before the kubelet has answered.
  const gone = () => out.destroy();
  client.socket.once("close", gone);
  const outcome = new Promise<void>((resolve, reject) => {
    out.on("upgrade", (response, upstream, first) => {
      client.socket.off("close", gone);
      client.socket.write(head(response));
      if (first.length > 0) client.socket.write(first);
      if (client.head.length > 0) upstream.write(client.head);
      join(client.socket, upstream);
      resolve();
    });
    out.on("response", (response) => {
      client.socket.write(head(response));
      response.pipe(client.socket);
      resolve();
    });
    out.on("error", (e) => reject(unreachable(target, e)));
  });
  out.end();
  await outcome;
};
