// What do the layers know of a request on its way?

import type { SocketAddr } from "@ambit/shared/addr/socket.ts";
import type { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import type { WaypointPort, WaypointService } from "@ambit/shared/route/types.ts";
import type { Workload } from "@ambit/shared/state/types.ts";
import type { ForwardPlan } from "../route/plan.ts";
import type { Exchange, HttpRequest, HttpResponse } from "./message.ts";

/** A caller's connection through its tunnel. The peer is who its certificate says, and nothing else says who it is. */
export type Connection = {
  /** undefined: a client outside the mesh, whom a pod of the service sends through us; nothing says who it is. */
  readonly peer: SpiffeId | undefined;
  /** The TCP peer of the tunnel: the caller's pod; of a client outside the mesh its own address. */
  readonly source: SocketAddr;
  /** What was asked for: a VIP or a pod IP, and the port. */
  readonly destination: SocketAddr;
};

/** What is asked for, as of the latest push. */
export type Addressed = {
  readonly service: WaypointService;
  readonly port: WaypointPort;
  /** Set when a pod was addressed by its own IP. */
  readonly workload: Workload | undefined;
};

/** Which backend took the request, as far as it got. */
export type Upstream = {
  readonly workload: Workload;
  readonly address: SocketAddr;
  readonly service: { readonly namespace: string; readonly hostname: string };
};

/** What telemetry tells of the request; filled by the layers as they learn it. */
export type Report = {
  route: string;
  upstream: Upstream | undefined;
  failure: MeshError | undefined;
  /** Envoy's response_code_details. */
  details: string;
  attempts: number;
  response: HttpResponse | undefined;
  /** When the backend's head came. */
  answeredAt: number | undefined;
};

export type RequestCtx = {
  readonly connection: Connection;
  readonly addressed: Addressed;
  /** What is addressed as of a later push; undefined when it is not served here any more. */
  addressedNow(): Addressed | undefined;
  readonly exchange: Exchange;
  readonly startedAt: number;
  readonly report: Report;
  /** Aborts when the answer is no longer wanted: the caller has gone, or a timeout passed. */
  signal: AbortSignal;
  /** As the layers before have left it. */
  request: HttpRequest;
  /** Set by the route layer for those below it. */
  plan: ForwardPlan | undefined;
};

export type Handler = (ctx: RequestCtx) => Promise<HttpResponse>;
export type Layer = (next: Handler) => Handler;

/** The first layer meets the request first. */
export const stack = (layers: readonly Layer[], inner: Handler): Handler => layers.reduceRight((next, layer) => layer(next), inner);

export const newReport = (): Report => ({
  route: "",
  upstream: undefined,
  failure: undefined,
  details: "",
  attempts: 0,
  response: undefined,
  answeredAt: undefined,
});
