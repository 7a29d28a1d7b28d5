// Who answers the API server's questions to the kubelet (logs, exec, attach, port-forward)?

import { once } from "node:events";
import { rmSync } from "node:fs";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { followLogs, logFile, readLogs } from "../container/logs.ts";
import { netnsPath, podNetns } from "../instance.ts";
import type { KubeletDeps } from "../kubelet/deps.ts";
import type { Kubelet } from "../kubelet/kubelet.ts";
import type { PodWorker } from "../kubelet/worker.ts";
import { allContainers } from "../pod/plan.ts";
import { containerOf } from "../pod/record.ts";
import { CHANNEL, chooseProtocol, exitStatus, frame } from "./channels.ts";
import { serveExec } from "./exec.ts";
import { servePortForward } from "./port-forward.ts";
import { type KubeletRequest, parseRequest } from "./requests.ts";

/** A refusal with its HTTP status. */
class Refused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

type Asked<K extends KubeletRequest["kind"]> = Extract<KubeletRequest, { kind: K }>;

const workerOf = (kubelet: Kubelet, r: { readonly namespace: string; readonly pod: string }): PodWorker => {
  const worker = kubelet.find(r.namespace, r.pod);
  if (worker === undefined) throw new Refused(404, `pod "${r.pod}" in namespace "${r.namespace}" is not on this node`);
  return worker;
};

const containerName = (worker: PodWorker, asked: string): string => {
  const object = worker.object();
  const names = object === undefined ? Object.keys(worker.record().containers) : allContainers(object.spec).map((c) => c.name);
  const name = asked === "" ? object?.spec.containers[0]?.name : asked;
  if (name === undefined || !names.includes(name)) throw new Refused(404, `container ${asked} not found in pod ${worker.ref.name}`);
  return name;
};

const execTarget = (worker: PodWorker, container: string): NonNullable<ReturnType<PodWorker["exec"]>> => {
  const target = worker.exec(container);
  if (target === undefined) throw new Refused(400, `container "${container}" of pod "${worker.ref.name}" does not run`);
  return target;
};

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

const serveAttach = async (deps: KubeletDeps, worker: PodWorker, container: string, socket: WebSocket): Promise<void> => {
  const left = new AbortController();
  socket.once("close", () => left.abort());
  void worker.ended(container)?.then(() => left.abort());
  const path = logFile(deps.instance.dataDir, worker.ref, { container, restart: containerOf(worker.record(), container).restarts });
  for await (const text of followLogs(path, { timestamps: false, tailLines: 0 }, left.signal))
    socket.send(frame(CHANNEL.stdout, Buffer.from(text)));
  if (socket.readyState !== socket.OPEN) return;
  socket.send(frame(CHANNEL.error, Buffer.from(JSON.stringify(exitStatus(0)))));
  socket.close(1000);
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
      throw new Refused(400, `${asked.value.kind} needs a WebSocket (${request.headers.upgrade ?? "no upgrade"} was asked for)`);
  }
};

/** What an upgraded connection will be, decided before the upgrade so that a refusal is a plain HTTP answer. */
const upgraded = (deps: KubeletDeps, kubelet: Kubelet, request: IncomingMessage): ((socket: WebSocket) => void | Promise<void>) => {
  const asked = parseRequest(new URL(request.url ?? "/", "http://kubelet"), deps.world.now());
  if (asked === undefined) throw new Refused(404, `the kubelet has no ${request.url}`);
  if (!asked.ok) throw new Refused(400, asked.error);
  const r = asked.value;
  switch (r.kind) {
    case "exec": {
      const worker = workerOf(kubelet, r);
      const target = execTarget(worker, containerName(worker, r.container));
      return (socket) => serveExec(socket, target, r);
    }
    case "attach": {
      const worker = workerOf(kubelet, r);
      const name = containerName(worker, r.container);
      execTarget(worker, name);
      return (socket) => serveAttach(deps, worker, name, socket);
    }
    case "port-forward": {
      const worker = workerOf(kubelet, r);
      const netns = worker.record().number === undefined ? deps.node.netns : podNetns(deps.instance.id, worker.ref.uid);
      return (socket) => servePortForward(socket, netnsPath(netns), r.ports);
    }
    case "logs":
    case "health":
    case "pods":
      throw new Refused(400, `${request.url} is not served over WebSocket`);
  }
};

const refusePlainly = (socket: Duplex, e: unknown): void => {
  const status = e instanceof Refused ? e.status : 500;
  const body = `${e instanceof Error ? e.message : String(e)}\n`;
  socket.end(
    `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ""}\r\ncontent-type: text/plain\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
};

export type KubeletServer = { close(): Promise<void> };

/** Listens on the unix socket (one left over is replaced). */
export const startKubeletServer = async (deps: KubeletDeps, kubelet: Kubelet, socketPath: string): Promise<KubeletServer> => {
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: true,
    handleProtocols: (offered) => chooseProtocol(offered) ?? false,
  });
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
  server.on("upgrade", (request, socket, head) => {
    socket.on("error", () => socket.destroy());
    try {
      if ((request.headers.upgrade ?? "").toLowerCase() !== "websocket")
        throw new Refused(400, `the upgrade ${request.headers.upgrade} is not supported: use a WebSocket`);
      const serve = upgraded(deps, kubelet, request);
      webSockets.handleUpgrade(request, socket, head, (ws) => {
        ws.on("error", () => ws.terminate());
        Promise.resolve(serve(ws)).catch((e: unknown) => {
          deps.log.warn("stream failed", { url: request.url, error: String(e) });
          ws.terminate();
        });
      });
    } catch (e) {
      refusePlainly(socket, e);
    }
  });
  rmSync(socketPath, { force: true });
  server.listen(socketPath);
  await once(server, "listening");
  return {
    close: async () => {
      for (const ws of webSockets.clients) ws.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
};
