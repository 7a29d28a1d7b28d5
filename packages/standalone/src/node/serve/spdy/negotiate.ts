// Which protocol will a SPDY connection carry, and what is each stream that a client opens on it for?

import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";
import type { Headers } from "./header-block.ts";

/** Of exec and attach. v5 differs from v4 on WebSockets only. */
export const REMOTE_PROTOCOLS = ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"] as const;
export const PORT_FORWARD_PROTOCOLS = ["portforward.k8s.io"] as const;

export type RemoteProtocol = (typeof REMOTE_PROTOCOLS)[number];

/** Client and server agree on the first of ours that the client offers; one that offers none speaks the oldest. Undefined: none in common. */
export const negotiate = <P extends string>(header: string | readonly string[] | undefined, ours: readonly [...P[], P]): P | undefined => {
  const offered = [header ?? []].flat().flatMap((h) => h.split(",").flatMap((p) => p.trim() || []));
  return offered.length === 0 ? ours.at(-1) : ours.find((p) => offered.includes(p));
};

/** How the error stream tells the outcome, and whether a terminal's size can change. */
export const ABOUT = {
  "v4.channel.k8s.io": { status: "json", resize: true },
  "v3.channel.k8s.io": { status: "text", resize: true },
  "v2.channel.k8s.io": { status: "text", resize: false },
  "channel.k8s.io": { status: "text", resize: false },
} as const satisfies Record<RemoteProtocol, { status: "json" | "text"; resize: boolean }>;

export const REMOTE_STREAMS = ["error", "stdin", "stdout", "stderr", "resize"] as const;
export type RemoteStream = (typeof REMOTE_STREAMS)[number];

export type StreamsAsked = { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean; readonly tty: boolean };

/** The streams that a client will open for its exec (a terminal has no stderr); undefined when it asks for none to read or write. */
export const streamsOf = (asked: StreamsAsked, protocol: RemoteProtocol): readonly RemoteStream[] | undefined => {
  const stderr = asked.stderr && !asked.tty;
  if (!asked.stdin && !asked.stdout && !stderr) return undefined;
  const wanted = { error: true, stdin: asked.stdin, stdout: asked.stdout, stderr, resize: asked.tty && ABOUT[protocol].resize };
  return REMOTE_STREAMS.filter((s) => wanted[s]);
};

export type PortStream = { readonly role: "data" | "error"; readonly port: number; readonly request: string };

/** What a port-forward's stream is for. Clients without request ids open the error stream first and the data stream next. */
export const portStream = (headers: Headers, id: number): Result<PortStream> => {
  const port = headers.get("port") ?? "";
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) return err(`the stream's port is ${JSON.stringify(port)}`);
  const role = headers.get("streamtype");
  if (role !== "data" && role !== "error") return err(`the stream's type is ${JSON.stringify(role ?? "")}`);
  return ok({ role, port: Number(port), request: headers.get("requestid") ?? `without id ${role === "error" ? id : id - 2}` });
};
