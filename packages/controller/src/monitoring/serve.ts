// What can an operator see of the controller? (/metrics, /ready, /debug/…)

import { createServer } from "node:http";
import { type HttpListener, listenHttp } from "@ambit/shared/admin/listen.ts";
import type { Readiness } from "@ambit/shared/runtime/ready.ts";
import type { Metrics } from "@ambit/shared/telemetry/metrics.ts";
import type { XdsServer } from "@ambit/shared/xds/server.ts";
import type { Graph } from "../collections/core.ts";
import { dumpGraph } from "../collections/dump.ts";

export type MonitoringDeps = {
  readonly metrics: Metrics;
  readonly readiness: Readiness;
  readonly graph: Graph;
  readonly xds: Pick<XdsServer, "streams">;
};

type Page = { readonly status: number; readonly type: string; readonly body: string };
const TEXT = "text/plain; charset=utf-8";

const readyPage = (readiness: Readiness): Page => {
  const pending = readiness.pending();
  return pending.length === 0
    ? { status: 200, type: TEXT, body: "ready\n" }
    : { status: 500, type: TEXT, body: `not ready, pending: ${pending.join(", ")}\n` };
};

const page = async (path: string, accept: string | undefined, deps: MonitoringDeps): Promise<Page> => {
  switch (path) {
    case "/ready":
      return readyPage(deps.readiness);
    case "/metrics": {
      const { contentType, body } = await deps.metrics.expose(accept);
      return { status: 200, type: contentType, body };
    }
    case "/debug/graph":
      return { status: 200, type: TEXT, body: dumpGraph(deps.graph) };
    case "/debug/syncz":
      return { status: 200, type: "application/json", body: `${JSON.stringify(deps.xds.streams(), null, 2)}\n` };
    default:
      return { status: 404, type: TEXT, body: "there is /ready, /metrics, /debug/graph and /debug/syncz\n" };
  }
};

/** Serves every page on the port. */
export const serveMonitoring = (port: number, deps: MonitoringDeps): Promise<HttpListener> =>
  listenHttp(
    { port },
    createServer((req, res) => {
      page((req.url ?? "/").split("?", 1)[0] ?? "/", req.headers.accept, deps).then(
        (p) => res.writeHead(p.status, { "content-type": p.type }).end(p.body),
        (cause: unknown) => res.writeHead(500, { "content-type": TEXT }).end(`${cause instanceof Error ? cause.message : String(cause)}\n`),
      );
    }),
  );
