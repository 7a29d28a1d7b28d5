// Who answers Prometheus?

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { gzip } from "node:zlib";
import { type HttpListener, type ListenAt, listenHttp } from "../admin/listen.ts";
import type { Metrics } from "./metrics.ts";

const PATHS: ReadonlySet<string> = new Set(["/metrics", "/stats/prometheus"]);

const reply = (res: ServerResponse, status: number, text: string): void => {
  res.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(`${text}\n`);
};

const acceptsGzip = (req: IncomingMessage): boolean => /\bgzip\b(?!\s*;\s*q=0(\.0*)?\b)/.test(String(req.headers["accept-encoding"] ?? ""));

const scrape = async (metrics: Metrics, req: IncomingMessage, res: ServerResponse): Promise<void> => {
  const { contentType, body } = await metrics.expose(req.headers.accept);
  const headers = { "content-type": contentType, vary: "accept, accept-encoding" };
  if (!acceptsGzip(req)) {
    res.writeHead(200, headers).end(body);
    return;
  }
  const packed = await new Promise<Buffer>((resolve, reject) => gzip(body, (e, out) => (e === null ? resolve(out) : reject(e))));
  res.writeHead(200, { ...headers, "content-encoding": "gzip" }).end(packed);
};

/** Serves /metrics and /stats/prometheus. Without a host, on every address, both families. */
export const serveMetrics = (at: ListenAt, metrics: Metrics): Promise<HttpListener> =>
  listenHttp(
    at,
    createServer((req, res) => {
      const path = (req.url ?? "/").split("?", 1)[0] ?? "/";
      if (!PATHS.has(path)) return reply(res, 404, "metrics are at /metrics and /stats/prometheus");
      if (req.method !== "GET" && req.method !== "HEAD") return reply(res, 405, "only GET is answered here");
      scrape(metrics, req, res).catch((e: unknown) =>
        reply(res, 500, `cannot collect the metrics: ${e instanceof Error ? e.message : String(e)}`),
      );
    }),
  );
