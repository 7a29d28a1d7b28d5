// Small real clients and servers that the tests in this folder share.

import { type Agent, createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { listening } from "./rig.ts";

export type Answer = {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
  readonly trailers: NodeJS.Dict<string>;
};

export type Ask = {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: Buffer | string;
  readonly agent?: Agent;
};

/** One request with Node's own client; rejects when the answer is cut. */
export const ask = (port: number, o: Ask = {}): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const options = {
      host: "127.0.0.1",
      port,
      method: o.method ?? "GET",
      path: o.path ?? "/",
      headers: { host: "reviews", ...o.headers },
      agent: o.agent ?? (false as const),
    };
    const req = request(options, (res) => {
      const parts: Buffer[] = [];
      res.on("data", (c: Buffer) => parts.push(c));
      res.on("end", () =>
        resolve({ status: res.statusCode ?? 0, headers: res.headers, body: Buffer.concat(parts), trailers: res.trailers }),
      );
      res.on("error", reject);
    });
    req.on("error", reject);
    req.end(o.body);
  });

/** Writes the bytes and yields all that comes back until the connection closes. */
export const raw = (port: number, bytes: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const s = connect(port, "127.0.0.1");
    let out = "";
    s.on("data", (c) => {
      out += c.toString("latin1");
    });
    s.on("close", () => resolve(out));
    s.on("error", reject);
    s.write(bytes, "latin1");
  });

export type Backend = AsyncDisposable & { readonly port: number; readonly connections: () => number };

/** A real HTTP/1.1 server on loopback. */
export const backend = async (handle: (req: IncomingMessage, res: ServerResponse) => void): Promise<Backend> => {
  const server = createServer(handle);
  let connections = 0;
  server.on("connection", () => {
    connections += 1;
  });
  const port = await listening(server);
  return {
    port,
    connections: () => connections,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
};

/** Answers with what it was asked, as JSON. */
export const echo = (req: IncomingMessage, res: ServerResponse): void => {
  const parts: Buffer[] = [];
  req.on("data", (c: Buffer) => parts.push(c));
  req.on("end", () => {
    res.setHeader("content-type", "application/json");
    res.end(JSON.stringify({ method: req.method, url: req.url, headers: req.headers, body: Buffer.concat(parts).toString() }));
  });
};
