// What becomes of a connection that a client upgrades to WebSocket or SPDY/3.1?

import http, { type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { createWebSocketStream, type WebSocket, WebSocketServer } from "ws";
import { logFile } from "../container/logs.ts";
import { netnsPath, podNetns } from "../instance.ts";
import type { KubeletDeps } from "../kubelet/deps.ts";
import type { Kubelet } from "../kubelet/kubelet.ts";
import { containerOf } from "../pod/record.ts";
import { serveAttach } from "./attach.ts";
import { chooseProtocol, TUNNEL } from "./channels.ts";
import { serveExec } from "./exec.ts";
import { containerName, execTarget, Refused, workerOf } from "./pods.ts";
import type { RemoteEnd } from "./remote.ts";
import { parseRequest } from "./requests.ts";
import { negotiate, PORT_FORWARD_PROTOCOLS, REMOTE_PROTOCOLS, type StreamsAsked, streamsOf } from "./spdy/negotiate.ts";
import { portForwardOnSpdy } from "./spdy/port-forward.ts";
import { remoteOnSpdy } from "./spdy/remote.ts";
import { portForwardOnWebSocket, remoteOnWebSocket } from "./web-socket.ts";

type Plan =
  | { readonly kind: "remote"; readonly asked: StreamsAsked; serve(remote: RemoteEnd): Promise<void> }
  | { readonly kind: "port-forward"; readonly netnsPath: string; readonly ports: readonly number[] };

/** Decided before the upgrade, so that a refusal is a plain HTTP answer. */
const plan = (deps: KubeletDeps, kubelet: Kubelet, request: IncomingMessage): Plan => {
  const asked = parseRequest(new URL(request.url ?? "/", "http://kubelet"), deps.world.now());
  if (asked === undefined) throw new Refused(404, `the kubelet has no ${request.url}`);
  if (!asked.ok) throw new Refused(400, asked.error);
  const r = asked.value;
  switch (r.kind) {
    case "exec": {
      const worker = workerOf(kubelet, r);
      const target = execTarget(worker, containerName(worker, r.container));
      return { kind: "remote", asked: r, serve: (remote) => serveExec(remote, target, r) };
    }
    case "attach": {
      const worker = workerOf(kubelet, r);
      const name = containerName(worker, r.container);
      execTarget(worker, name);
      const path = logFile(deps.instance.dataDir, worker.ref, { container: name, restart: containerOf(worker.record(), name).restarts });
      return { kind: "remote", asked: r, serve: (remote) => serveAttach(remote, path, worker.ended(name)) };
    }
    case "port-forward": {
      const worker = workerOf(kubelet, r);
      const netns = worker.record().number === undefined ? deps.node.netns : podNetns(deps.instance.id, worker.ref.uid);
      return { kind: "port-forward", netnsPath: netnsPath(netns), ports: r.ports };
    }
    case "logs":
    case "health":
    case "pods":
      throw new Refused(400, `${request.url} is not served over an upgraded connection`);
  }
};

const refusePlainly = (socket: Duplex, e: unknown): void => {
  const status = e instanceof Refused ? e.status : 500;
  const body = `${e instanceof Error ? e.message : String(e)}\n`;
  socket.end(
    `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ""}\r\ncontent-type: text/plain\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
};

const agreed = <P extends string>(request: IncomingMessage, ours: readonly [...P[], P]): P => {
  const offered = request.headers["x-stream-protocol-version"];
  const protocol = negotiate(offered, ours);
  if (protocol === undefined)
    throw new Refused(403, `no common stream protocol: the client offers ${offered}, the kubelet speaks ${ours.join(", ")}`);
  return protocol;
};

const offersTunnel = (request: IncomingMessage): boolean =>
  (request.headers["sec-websocket-protocol"] ?? "").split(",").some((p) => p.trim() === TUNNEL);

export type Upgrades = {
  serve(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Cuts what is open. */
  close(): void;
};

export const createUpgrades = (deps: KubeletDeps, kubelet: Kubelet): Upgrades => {
  const { world } = deps;
  const open = new Set<Duplex>();
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    handleProtocols: (offered) => chooseProtocol(offered) ?? false,
  });
  const tunnels = new WebSocketServer({ noServer: true, clientTracking: false });
  tunnels.on("headers", (headers) => headers.push(`Sec-WebSocket-Protocol: ${TUNNEL}`));
  const failed = (request: IncomingMessage, why: unknown): void => deps.log.warn("stream failed", { url: request.url, error: String(why) });

  const guard = (request: IncomingMessage, ws: WebSocket, serve: () => void | Promise<void>): void => {
    ws.on("error", () => ws.terminate());
    Promise.try(serve).catch((e: unknown) => {
      failed(request, e);
      ws.terminate();
    });
  };
  const upgradeToTunnel = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const p = plan(deps, kubelet, request);
    if (p.kind !== "port-forward") throw new Refused(400, `${TUNNEL} carries port-forwards only`);
    // Its slash is no character for a subprotocol's name (RFC 6455, §4.1), so ws is neither shown it nor asked to choose it.
    delete request.headers["sec-websocket-protocol"];
    tunnels.handleUpgrade(request, socket, head, (ws) =>
      guard(request, ws, () =>
        portForwardOnSpdy(createWebSocketStream(ws), { world, netnsPath: p.netnsPath, broken: (why) => failed(request, why) }),
      ),
    );
  };
  const upgradeToChannels = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const p = plan(deps, kubelet, request);
    if (p.kind === "port-forward" && p.ports.length === 0)
      throw new Refused(400, "a port-forward on a WebSocket's channels needs a ports parameter");
    webSockets.handleUpgrade(request, socket, head, (ws) =>
      guard(request, ws, () =>
        p.kind === "remote" ? p.serve(remoteOnWebSocket(ws, p.asked, world)) : portForwardOnWebSocket(ws, p, world),
      ),
    );
  };
  const upgradeToSpdy = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const p = plan(deps, kubelet, request);
    const broken = (why: string): void => failed(request, why);
    const switchTo = (protocol: string): void => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
      );
      if (head.length > 0) socket.unshift(head);
    };
    if (p.kind === "port-forward") {
      switchTo(agreed(request, PORT_FORWARD_PROTOCOLS));
      portForwardOnSpdy(socket, { world, netnsPath: p.netnsPath, broken });
      return;
    }
    const protocol = agreed(request, REMOTE_PROTOCOLS);
    const wanted = streamsOf(p.asked, protocol);
    if (wanted === undefined) throw new Refused(400, "at least one of stdin, stdout and stderr must be asked for");
    switchTo(protocol);
    remoteOnSpdy(socket, { world, protocol, wanted, broken })
      .then((remote) => p.serve(remote))
      .catch((e: unknown) => {
        failed(request, e);
        socket.destroy();
      });
  };

  return {
    serve: (request, socket, head) => {
      open.add(socket);
      socket.once("close", () => open.delete(socket));
      socket.on("error", () => socket.destroy());
      try {
        const to = (request.headers.upgrade ?? "").toLowerCase();
        if (to === "websocket" && offersTunnel(request)) upgradeToTunnel(request, socket, head);
        else if (to === "websocket") upgradeToChannels(request, socket, head);
        else if (to === "spdy/3.1") upgradeToSpdy(request, socket, head);
        else throw new Refused(400, `the upgrade ${request.headers.upgrade} is not supported: use a WebSocket or SPDY/3.1`);
      } catch (e) {
        refusePlainly(socket, e);
      }
    },
    close: () => {
      for (const socket of open) socket.destroy();
    },
  };
};
