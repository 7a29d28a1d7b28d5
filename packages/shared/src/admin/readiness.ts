// Is the process ready, and if not, what is it waiting for?

import { createServer } from "node:http";
import { type HttpListener, type ListenAt, listenHttp } from "./listen.ts";

/** Serves /healthz/ready: 200 `ready`, or 500 `not ready, pending: a, b` with the names that `pending` returns. */
export const serveReadiness = (at: ListenAt, pending: () => readonly string[] | Promise<readonly string[]>): Promise<HttpListener> =>
  listenHttp(
    at,
    createServer((req, res) => {
      const reply = (status: number, text: string): void => {
        res.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(`${text}\n`);
      };
      if ((req.url ?? "/").split("?", 1)[0] !== "/healthz/ready") return reply(404, "readiness is at /healthz/ready");
      if (req.method !== "GET" && req.method !== "HEAD") return reply(405, "only GET is answered here");
      const answer = async (): Promise<void> => {
        const names = await pending();
        if (names.length === 0) reply(200, "ready");
        else reply(500, `not ready, pending: ${names.join(", ")}`);
      };
      answer().catch((e: unknown) => reply(500, `cannot tell: ${e instanceof Error ? e.message : String(e)}`));
    }),
  );
