// Which endpoint takes a request or connection, and how is it reached?

import type { Ip } from "@ambit/shared/addr/ip.ts";
import type { SocketAddr } from "@ambit/shared/addr/socket.ts";
import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import { type Balanced, balance, type Candidate, type Origin } from "@ambit/shared/state/balance.ts";
import { endpointAddress } from "@ambit/shared/state/endpoint-address.ts";
import { type AppProtocol, type IpFamilies, identityOf, serviceKey, type Workload } from "@ambit/shared/state/types.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";

/** Where the waypoint itself is, for locality. */
export type { Origin };

export type Chosen = {
  readonly workload: Workload;
  /** The application's address. */
  readonly address: SocketAddr;
  readonly via: "hbone" | "plain";
  /** Who must answer the tunnel; exactly this workload. */
  readonly expect: SpiffeId;
  readonly appProtocol: AppProtocol;
  readonly service: { readonly namespace: string; readonly hostname: string };
};

export type ChooseInput = {
  readonly view: MeshView;
  readonly backend: { readonly namespace: string; readonly hostname: string; readonly port: number };
  readonly from: Origin;
  /** What the caller addressed: endpoints are dialled by the same family where they and their service have it. */
  readonly toward: Ip;
  readonly tried: ReadonlySet<string>;
  random(): number;
  /** Requests in flight to a workload, by uid. */
  active(uid: string): number;
};

export type Choice =
  | { readonly kind: "chosen"; readonly chosen: Chosen; readonly candidates: readonly Candidate[] }
  | { readonly kind: "none"; readonly error: MeshError; readonly candidates: readonly Candidate[] };

const none = (code: "NO_HEALTHY_UPSTREAM" | "NO_SERVICE_PORT", detail: string, candidates: readonly Candidate[]): Choice => ({
  kind: "none",
  error: new MeshError(code, detail),
  candidates,
});

/** The workload at the port, as an endpoint; undefined when it has no address. */
export const reach = (
  w: Workload,
  port: number,
  { toward, families, ...of }: Pick<Chosen, "appProtocol" | "service"> & { toward: Ip; families?: IpFamilies },
): Chosen | undefined => {
  const ip = endpointAddress(w, toward, families);
  if (ip === undefined) return undefined;
  return { workload: w, address: { ip, port }, via: w.tunnelProtocol === "HBONE" ? "hbone" : "plain", expect: identityOf(w), ...of };
};

type Picked = Extract<Balanced, { kind: "endpoint" }>;
const load = (p: Picked, active: ChooseInput["active"]): number => (active(p.workload.uid) + 1) / Math.max(1, p.workload.capacity);

/**
 * Of two endpoints drawn by weight, the one with fewer requests in flight (power of two choices). Endpoints that were
 * tried are taken again only when there are no others.
 */
export const chooseEndpoint = (i: ChooseInput): Choice => {
  const key = serviceKey(i.backend);
  const service = i.view.service(key);
  if (service === undefined) return none("NO_HEALTHY_UPSTREAM", `the backend service ${key} is not known`, []);
  const endpoints = i.view.endpoints(key);
  const draw = (tried: ReadonlySet<string>): Balanced =>
    balance({ service, endpoints, servicePort: i.backend.port, from: i.from, mode: "standard", tried }, i.random);
  const fresh = draw(i.tried);
  const first = fresh.kind === "none" && i.tried.size > 0 ? draw(new Set()) : fresh;
  if (first.kind === "none")
    return first.why === "port-not-declared"
      ? none("NO_SERVICE_PORT", `the backend service ${key} has no port ${i.backend.port}`, first.candidates)
      : none(
          "NO_HEALTHY_UPSTREAM",
          `the backend service ${key} has no endpoint that may be used (of ${first.candidates.length})`,
          first.candidates,
        );
  const second = draw(new Set([...i.tried, first.workload.uid]));
  const best = second.kind === "endpoint" && load(second, i.active) < load(first, i.active) ? second : first;
  const appProtocol = service.ports.find((p) => p.servicePort === i.backend.port)?.appProtocol ?? "UNKNOWN";
  const chosen = reach(best.workload, best.port, { appProtocol, service: i.backend, toward: i.toward, families: service.ipFamilies });
  if (chosen === undefined) return none("NO_HEALTHY_UPSTREAM", `the endpoint ${best.workload.uid} has no address`, first.candidates);
  return { kind: "chosen", chosen, candidates: first.candidates };
};

/** HTTP/2 where the backend's port says so, else what the caller speaks; an upgrade needs HTTP/1.1. */
export const upstreamVersion = (
  app: AppProtocol,
  r: { readonly version: string; readonly upgrade: string | undefined },
): "http1" | "http2" => {
  if (r.upgrade !== undefined) return "http1";
  if (app === "HTTP2" || app === "GRPC") return "http2";
  return r.version === "HTTP/2" ? "http2" : "http1";
};
