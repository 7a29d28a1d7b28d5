// Which sockets does a pod's DNS have, and which of a data thread's are they? (pure)

import type { ListenerSpec } from "../inpod/listeners.ts";
import type { ListenerFds } from "../thread/messages.ts";
import type { DnsConfig } from "./config.ts";
import type { DnsFds } from "./serve.ts";

const nameOf = (kind: "udp" | "tcp", at: ListenerSpec["at"]): string => `dns-${kind}-${at}`;

/** UDP and TCP on each address; none when the proxy is off. */
export const dnsListeners = ({ enabled, address }: DnsConfig): readonly ListenerSpec[] =>
  enabled
    ? address.at.flatMap((at) => (["udp", "tcp"] as const).map((kind) => ({ name: nameOf(kind, at), kind, port: address.port, at })))
    : [];

/** The sockets of these names. */
export const dnsFds = (config: DnsConfig, fds: ListenerFds): DnsFds => {
  const of = (kind: "udp" | "tcp"): number[] => config.address.at.flatMap((at) => fds[nameOf(kind, at)] ?? []);
  return { udp: of("udp"), tcp: of("tcp") };
};
