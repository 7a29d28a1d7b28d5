// How is one probe or lifecycle hook tried?

import http from "node:http";
import https from "node:https";
import net from "node:net";
import type { IntOrString } from "@ambit/shared/kube/objects/meta.ts";
import type { Container, Probe } from "@ambit/shared/kube/objects/pod.ts";
import type { Attempt } from "../pod/probe.ts";
import { type ExecTarget, execToEnd } from "./exec.ts";

export type AttemptTarget = { readonly container: Container; readonly podIP: string; exec(): ExecTarget | undefined };

const portOf = (port: IntOrString, container: Container): number | undefined =>
  typeof port === "number" ? port : /^\d+$/.test(port) ? Number(port) : container.ports?.find((p) => p.name === port)?.containerPort;

const fail = (detail: string): Attempt => ({ ok: false, detail });
const message = (e: unknown): string => (e instanceof Error ? e.message : String(e));

/** 200 to 399 is success; redirects are not followed to other hosts, and any certificate will do (kubelet: pkg/probe/http). */
const tryHttp = (get: NonNullable<Probe["httpGet"]>, t: AttemptTarget, signal: AbortSignal): Promise<Attempt> => {
  const port = portOf(get.port, t.container);
  if (port === undefined) return Promise.resolve(fail(`the container has no port named ${get.port}`));
  const tls = get.scheme?.toUpperCase() === "HTTPS";
  const path = get.path ?? "/";
  const options = {
    host: get.host ?? t.podIP,
    port,
    path: path.startsWith("/") ? path : `/${path}`,
    headers: {
      "user-agent": "kube-probe/1.34",
      accept: "*/*",
      ...Object.fromEntries((get.httpHeaders ?? []).map((h) => [h.name.toLowerCase(), h.value])),
    },
    signal,
    agent: false as const,
  };
  return new Promise((resolve) => {
    const answered = (response: http.IncomingMessage): void => {
      const status = response.statusCode ?? 0;
      response.destroy();
      resolve(status >= 200 && status < 400 ? { ok: true } : fail(`HTTP probe failed with statuscode: ${status}`));
    };
    const request = tls ? https.get({ ...options, rejectUnauthorized: false }, answered) : http.get(options, answered);
    request.on("error", (e) => resolve(fail(signal.aborted ? "HTTP probe timed out" : message(e))));
  });
};

const tryTcp = (tcp: NonNullable<Probe["tcpSocket"]>, t: AttemptTarget, signal: AbortSignal): Promise<Attempt> => {
  const port = portOf(tcp.port, t.container);
  if (port === undefined) return Promise.resolve(fail(`the container has no port named ${tcp.port}`));
  return new Promise((resolve) => {
    const socket = net.connect({ host: tcp.host ?? t.podIP, port, signal });
    socket.once("connect", () => {
      socket.destroy();
      resolve({ ok: true });
    });
    socket.once("error", (e) => resolve(fail(signal.aborted ? "TCP probe timed out" : message(e))));
  });
};

const tryExec = async (command: readonly string[], t: AttemptTarget, signal: AbortSignal): Promise<Attempt> => {
  const target = t.exec();
  if (target === undefined) return fail("the container does not run");
  const { code, output } = await execToEnd(target, command, signal);
  return code === 0 ? { ok: true } : fail(`command exited with ${code}: ${output.trim()}`);
};

/** One attempt, ended by the signal. Never throws: whatever goes wrong is a failed attempt that says why. */
export const attempt = async (probe: Probe, target: AttemptTarget, signal: AbortSignal): Promise<Attempt> => {
  try {
    if (probe.httpGet !== undefined) return await tryHttp(probe.httpGet, target, signal);
    if (probe.tcpSocket !== undefined) return await tryTcp(probe.tcpSocket, target, signal);
    if (probe.exec !== undefined) return await tryExec(probe.exec.command ?? [], target, signal);
    return fail(probe.grpc === undefined ? "the probe has no action" : "grpc probes are not supported on this machine's nodes");
  } catch (e) {
    return fail(message(e));
  }
};
