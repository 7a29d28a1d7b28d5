// Which protocol does a Service port speak, for ztunnel and for a waypoint?

import type { ServicePort } from "@ambit/shared/kube/objects/core.ts";
import type { WaypointProtocol } from "@ambit/shared/route/types.ts";
import type { AppProtocol } from "@ambit/shared/state/types.ts";

type Spoken = { readonly app: AppProtocol; readonly waypoint: WaypointProtocol };

const HTTP: Spoken = { app: "HTTP11", waypoint: "HTTP" };
const TCP: Spoken = { app: "TCP", waypoint: "TCP" };
const TLS: Spoken = { app: "TLS", waypoint: "TLS" };
/** Sniffed by a waypoint. */
const UNKNOWN: Spoken = { app: "UNKNOWN", waypoint: "AUTO" };

/** By the word that names the protocol; UDP never gets to a proxy. */
const SPOKEN: ReadonlyMap<string, Spoken> = new Map([
  ["http", HTTP],
  ["grpc-web", HTTP],
  ["http2", { app: "HTTP2", waypoint: "HTTP2" }],
  ["grpc", { app: "GRPC", waypoint: "GRPC" }],
  ["tcp", TCP],
  ["mongo", TCP],
  ["mysql", TCP],
  ["redis", TCP],
  ["tls", TLS],
  ["https", TLS],
  ["udp", UNKNOWN],
]);

/** Server-first protocols, unless the port says otherwise: sniffing them would wait for bytes that never come. */
const TCP_PORTS: ReadonlySet<number> = new Set([25, 53, 3306, 27017]);

/** The protocol word of a port: appProtocol first, else the port name up to the first "-" (pkg/config/kube/conversion.go). */
export const protocolWord = (p: Pick<ServicePort, "name" | "appProtocol" | "port">): string | undefined => {
  if (p.appProtocol !== undefined && p.appProtocol !== "") {
    const word = p.appProtocol.toLowerCase();
    if (word === "kubernetes.io/h2c") return "http2";
    if (word === "kubernetes.io/ws") return "http";
    if (word === "kubernetes.io/wss") return "https";
    return word;
  }
  const name = (p.name ?? "").toLowerCase();
  const word = name.startsWith("grpc-web") ? "grpc-web" : name.split("-")[0];
  return TCP_PORTS.has(p.port) && (word === undefined || !SPOKEN.has(word)) ? "tcp" : word;
};

const spokenBy = (word: string | undefined): Spoken => SPOKEN.get(word ?? "") ?? UNKNOWN;

export const appProtocolOf = (p: ServicePort): AppProtocol => spokenBy(protocolWord(p)).app;

/** Of the protocol word. */
export const waypointProtocol = (word: string | undefined): WaypointProtocol => spokenBy(word).waypoint;
