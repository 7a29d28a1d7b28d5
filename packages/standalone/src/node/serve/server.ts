// Who answers the API server's questions to the kubelet (logs, exec, attach, port-forward)?

import { once } from "node:events";
import { rmSync } from "node:fs";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import { followLogs, logFile, readLogs } from "../container/logs.ts";
import type { KubeletDeps } from "../kubelet/deps.ts";
import type { Kubelet } from "../kubelet/kubelet.ts";
import { containerOf } from "../pod/record.ts";
import { containerName, Refused, workerOf } from "./pods.ts";
import { type KubeletRequest, parseRequest } from "./requests.ts";
import { createUpgrades } from "./upgrade.ts";

type Asked<K extends KubeletRequest["kind"]> = Extract<KubeletRequest, { kind: K }>;

const serveLogs = async (deps: KubeletDeps, kubelet: Kubelet, r: Asked<"logs">, response: ServerResponse): Promise<void> => {
  const worker = workerOf(kubelet, r);
  const container = containerName(worker, r.container);
  const c = containerOf(worker.record(), container);
  if (!c.ran) {
    const reason = c.state.t === "waiting" ? c.state.reason : "ContainerCreating";
    throw new Refused(400, `container "${container}" in pod "${r.pod}" is waiting to start: ${reason}`);
  }
  const restart = r.previous ? c.restarts - 1 : c.restarts;
  if (restart < 0) throw new Refused(400, `previous terminated container "${container}" in pod "${r.pod}" not found`);
  const path = logFile(deps.instance.dataDir, worker.ref, { container, restart });
  response.writeHead(200, { "content-type": "text/plain" });
  if (!r.follow || r.previous || c.state.t !== "running") {
    response.end(readLogs(path, r.selection));
    return;
  }
  response.flushHeaders();
  const left = new AbortController();
  response.once("close", () => left.abort());
  void worker.ended(container)?.then(() => left.abort());
  for await (const text of followLogs(path, r.selection, left.signal))
    if (!response.write(text) && !response.closed) await once(response, "drain", { signal: left.signal }).catch(() => {}); // it left
  response.end();
};

const answerPlain = async (deps: KubeletDeps, kubelet: Kubelet, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const asked = parseRequest(new URL(request.url ?? "/", "http://kubelet"), deps.world.now());
  if (asked === undefined) throw new Refused(404, `the kubelet has no ${request.url}`);
  if (!asked.ok) throw new Refused(400, asked.error);
  switch (asked.value.kind) {
    case "health":
      response.end("ok");
      return;
    case "pods":
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ kind: "PodList", apiVersion: "v1", items: kubelet.workers().flatMap((w) => w.object() ?? []) }));
      return;
    case "logs":
      return serveLogs(deps, kubelet, asked.value, response);
    case "exec":
    case "attach":
    case "port-forward":
      throw new Refused(
        400,
        `${asked.value.kind} needs a WebSocket or SPDY/3.1 (${request.headers.upgrade ?? "no upgrade"} was asked for)`,
      );
  }
};

export type KubeletServer = { close(): Promise<void> };

/** Listens on the unix socket (one left over is replaced). */
export const startKubeletServer = async (deps: KubeletDeps, kubelet: Kubelet, socketPath: string): Promise<KubeletServer> => {
  const server = http.createServer((request, response) => {
    answerPlain(deps, kubelet, request, response).catch((e: unknown) => {
      if (!(e instanceof Refused)) deps.log.warn("request failed", { url: request.url, error: String(e) });
      if (response.headersSent) response.destroy();
      else
        response
          .writeHead(e instanceof Refused ? e.status : 500, { "content-type": "text/plain" })
          .end(`${e instanceof Error ? e.message : String(e)}\n`);
    });
  });
  const upgrades = createUpgrades(deps, kubelet);
  server.on("upgrade", upgrades.serve);
  rmSync(socketPath, { force: true });
  server.listen(socketPath);
  await once(server, "listening");
  return {
    close: async () => {
      upgrades.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};
