// What does an API server on loopback answer when a test scripts it, request by request?

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { KubeConfig } from "../config.ts";

export type Asked = {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
};
export type Answer = (asked: Asked, res: ServerResponse) => void | Promise<void>;

export type Scripted = AsyncDisposable & { readonly config: KubeConfig; readonly asked: readonly Asked[]; close(): Promise<void> };

/** Answers the n-th request with the n-th script; the last one answers all that follow. */
export const scripted = async (answers: readonly Answer[]): Promise<Scripted> => {
  const asked: Asked[] = [];
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on("data", (c: Buffer) => chunks.push(c));
    req.on("end", () => {
      const url = new URL(req.url ?? "/", "http://x");
      const request = {
        method: req.method ?? "",
        path: url.pathname,
        query: url.searchParams,
        headers: req.headers,
        body: Buffer.concat(chunks).toString(),
      };
      const answer = answers[Math.min(asked.length, answers.length - 1)];
      asked.push(request);
      void answer?.(request, res);
    });
  });
  const port = await listen(server);
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return {
    config: {
      server: `http://127.0.0.1:${port}`,
      namespace: "default",
      tls: () => ({}),
      headers: async () => ({ authorization: "Bearer t" }),
    },
    asked,
    close,
    [Symbol.asyncDispose]: close,
  };
};

const listen = (server: Server): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });

export const json =
  (status: number, body: unknown, headers: Record<string, string> = {}): Answer =>
  (_asked, res) => {
    res.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
  };

export const status = (code: number, reason: string, message = reason) => json(code, { kind: "Status", code, reason, message });

export const listOf = (version: string, names: readonly (readonly [name: string, version: string])[], more?: string): Answer =>
  json(200, {
    kind: "ConfigMapList",
    metadata: { resourceVersion: version, ...(more === undefined ? {} : { continue: more }) },
    items: names.map(([name, v]) => object(name, v)),
  });

export const object = (name: string, resourceVersion: string, uid = `uid-${name}`) => ({
  metadata: { namespace: "d", name, uid, resourceVersion },
});

/** Writes the events (or raw text) and then ends, breaks the connection, or stays open. */
export const watchOf =
  (lines: readonly (object | string)[], then: "end" | "break" | "stay"): Answer =>
  (_asked, res) => {
    res.writeHead(200, { "content-type": "application/json" });
    res.flushHeaders();
    for (const l of lines) res.write(typeof l === "string" ? l : `${JSON.stringify(l)}\n`);
    if (then === "end") res.end();
    if (then === "break") setImmediate(() => res.destroy());
  };

export const event = (type: string, name: string, resourceVersion: string, uid?: string) => ({
  type,
  object: object(name, resourceVersion, uid),
});
export const bookmark = (resourceVersion: string) => ({ type: "BOOKMARK", object: { metadata: { resourceVersion } } });
