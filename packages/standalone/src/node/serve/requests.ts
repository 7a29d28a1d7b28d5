// Which question does a request to the kubelet ask?

import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";
import type { LogSelection } from "../container/log-lines.ts";
import type { StreamsAsked } from "./spdy/negotiate.ts";

type PodPath = { readonly namespace: string; readonly pod: string };
export type KubeletRequest =
  | ({
      readonly kind: "logs";
      readonly container: string;
      readonly follow: boolean;
      readonly previous: boolean;
      readonly selection: LogSelection;
    } & PodPath)
  | ({
      readonly kind: "exec";
      readonly container: string;
      readonly command: readonly string[];
    } & StreamsAsked &
      PodPath)
  | ({ readonly kind: "attach"; readonly container: string } & StreamsAsked & PodPath)
  /** Only port-forwards on a WebSocket's channels name their ports here. */
  | ({ readonly kind: "port-forward"; readonly ports: readonly number[] } & PodPath)
  | { readonly kind: "health" }
  | { readonly kind: "pods" };

const flag = (q: URLSearchParams, name: string): boolean => ["true", "1"].includes(q.get(name) ?? "");

const streamsAsked = (q: URLSearchParams): StreamsAsked => ({
  stdin: flag(q, "stdin") || flag(q, "input"),
  stdout: flag(q, "stdout") || flag(q, "output"),
  stderr: flag(q, "stderr") || flag(q, "error"),
  tty: flag(q, "tty"),
});

const count = (q: URLSearchParams, name: string): Result<number | undefined> => {
  const text = q.get(name);
  if (text === null || text === "") return ok(undefined);
  return /^\d{1,15}$/.test(text) ? ok(Number(text)) : err(`${name}=${text} is not a whole number`);
};

const logSelection = (q: URLSearchParams, now: number): Result<LogSelection> => {
  const tail = count(q, "tailLines");
  const limit = count(q, "limitBytes");
  const seconds = count(q, "sinceSeconds");
  for (const r of [tail, limit, seconds]) if (!r.ok) return r;
  const sinceTime =
    q.get("sinceTime") ?? (seconds.ok && seconds.value !== undefined ? new Date(now - seconds.value * 1000).toISOString() : undefined);
  if (sinceTime !== undefined && Number.isNaN(Date.parse(sinceTime))) return err(`sinceTime=${sinceTime} is not a time`);
  return ok({
    timestamps: flag(q, "timestamps"),
    ...(tail.ok && tail.value !== undefined ? { tailLines: tail.value } : {}),
    ...(limit.ok && limit.value !== undefined ? { limitBytes: limit.value } : {}),
    ...(sinceTime === undefined ? {} : { sinceTime }),
  });
};

const portsOf = (q: URLSearchParams): Result<readonly number[]> => {
  const texts = [...q.getAll("port"), ...q.getAll("ports")].flatMap((t) => t.split(","));
  const ports = texts.map(Number);
  if (ports.length > 100 || !ports.every((p) => Number.isInteger(p) && p > 0 && p < 65_536))
    return err(`ports=${texts.join(",")} are not ports`);
  return ok(ports);
};

/** Parses the path and query (kubelet's own URL names); undefined when the kubelet has no such path. */
export const parseRequest = (url: URL, now: number): Result<KubeletRequest> | undefined => {
  const [, kind, ...rest] = url.pathname.split("/").map(decodeURIComponent);
  const q = url.searchParams;
  if (kind === "healthz" && rest.length === 0) return ok({ kind: "health" });
  if (kind === "pods" && rest.length === 0) return ok({ kind: "pods" });
  const [namespace = "", pod = "", container = ""] = rest;
  if (namespace === "" || pod === "") return undefined;
  switch (kind) {
    case "containerLogs": {
      const selection = logSelection(q, now);
      if (!selection.ok) return selection;
      return ok({
        kind: "logs",
        namespace,
        pod,
        container,
        follow: flag(q, "follow"),
        previous: flag(q, "previous"),
        selection: selection.value,
      });
    }
    case "exec": {
      const command = q.getAll("command");
      if (command.length === 0) return err("exec needs at least one command parameter");
      return ok({ kind: "exec", namespace, pod, container, command, ...streamsAsked(q) });
    }
    case "attach":
      return ok({ kind: "attach", namespace, pod, container, ...streamsAsked(q) });
    case "portForward": {
      const ports = portsOf(q);
      return ports.ok ? ok({ kind: "port-forward", namespace, pod, ports: ports.value }) : ports;
    }
    default:
      return undefined;
  }
};
