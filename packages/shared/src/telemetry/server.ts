// Who answers Prometheus?

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { type HttpListener, type ListenAt, listenHttp } from "../admin/listen.ts";
import type { Metrics } from "./metrics.ts";

export type ServeMetricsOptions = {
  /** Called before each answer is made: for counts that are collected from elsewhere. */
  readonly before?: () => void;
};

const PATHS: ReadonlySet<string> = new Set(["/metrics", "/stats/prometheus"]);

const reply = (res: ServerResponse, status: number, text: string): void => {
  res.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(`${text}\n`);
};

const acceptsGzip = (req: IncomingMessage): boolean => /\bgzip\b(?!\s*;\s*q=0(\.0*)?\b)/.test(String(req.headers["accept-encoding"] ?? ""));

/** Label names and values repeat from line to line: the fastest level takes out nearly all that there is to take out. */
const GZIP = { level: 1 };

/** In pieces: neither making a large answer nor packing it holds the thread, and one who reads slowly is waited for. */
const scrape = async (metrics: Pick<Metrics, "stream">, req: IncomingMessage, res: ServerResponse): Promise<void> => {
  const { contentType, chunks } = metrics.stream(req.headers.accept);
  const packed = acceptsGzip(req);
  res.writeHead(200, {
    "content-type": contentType,
    vary: "accept, accept-encoding",
    ...(packed ? { "content-encoding": "gzip" } : {}),
  });
  if (req.method === "HEAD") res.end();
  else if (packed) await pipeline(Readable.from(chunks), createGzip(GZIP), res);
  else await pipeline(Readable.from(chunks), res);
};

const failed = (res: ServerResponse, e: unknown): void => {
  // With the head sent, only an end that is no end tells the reader that the answer is not whole.
  if (res.headersSent) res.destroy();
  else reply(res, 500, `cannot collect the metrics: ${e instanceof Error ? e.message : String(e)}`);
};

/** Serves /metrics and /stats/prometheus. Without a host, on every address, both families. */
export const serveMetrics = (at: ListenAt, metrics: Pick<Metrics, "stream">, options: ServeMetricsOptions = {}): Promise<HttpListener> =>
  listenHttp(
    at,
    createServer((req, res) => {
      const path = (req.url ?? "/").split("?", 1)[0] ?? "/";
      if (!PATHS.has(path)) return reply(res, 404, "metrics are at /metrics and /stats/prometheus");
      if (req.method !== "GET" && req.method !== "HEAD") return reply(res, 405, "only GET is answered here");
      try {
        options.before?.();
      } catch (e) {
        return failed(res, e);
      }
      scrape(metrics, req, res).catch((e: unknown) => failed(res, e));
    }),
  );
