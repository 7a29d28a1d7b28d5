// What is asked when a pod dials, and what can the answer be? (ambient-l4 section 1.6)

import type { Ip } from "@ambit/shared/addr/ip.ts";
import type { SocketAddr } from "@ambit/shared/addr/socket.ts";
import type { MeshErrorCode } from "@ambit/shared/errors/codes.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import type { Candidate, Standing } from "@ambit/shared/state/balance.ts";
import type { Service, Workload } from "@ambit/shared/state/types.ts";
import type { OwnPorts } from "../ports.ts";

/** Istio's names: what the mesh does not know may be reached in clear, or only what it knows may be reached. */
export type EgressMode = "ALLOW_ANY" | "REGISTRY_ONLY";

export type OutboundDial = {
  /** The workload of the pod that dialled. */
  readonly source: Workload;
  /** The original destination. */
  readonly to: SocketAddr;
  /** uids of endpoints that refused this connection already. */
  readonly tried?: ReadonlySet<string>;
  /** What this proxy has seen of endpoints; absent: they are told apart by the mesh's word alone. */
  readonly standing?: Standing;
  /** Ports of ztunnel itself; absent: those that every pod has. */
  readonly own?: OwnPorts | undefined;
  /** What hostnames of endpoints were resolved to; one that is missing makes the plan `resolve`. */
  readonly resolved?: ReadonlyMap<string, Ip>;
  /** For destinations that the mesh does not know; absent: ALLOW_ANY. */
  readonly egress?: EgressMode | undefined;
};

/** What the look-up found on the way, for telemetry and `ambit explain`. */
export type Trail = {
  /** What the dialled address stands for: a workload's own address wins over a VIP. */
  readonly found: "workload" | "service" | "unknown";
  /** The service that was addressed. */
  readonly service: Service | undefined;
  /** The workload that is dialled: the endpoint, or the instance of the waypoint. */
  readonly workload: Workload | undefined;
  /** The port of that workload; 0 when there is none. With the workload it names the endpoint. */
  readonly port: number;
  /** The endpoints that were weighed, of the service or of the waypoint. */
  readonly candidates: readonly Candidate[];
};

export type OutboundPlan = Trail &
  (
    | { readonly kind: "passthrough"; readonly to: SocketAddr; readonly why: "unknown-destination" | "passthrough-service" }
    | { readonly kind: "tcp"; readonly to: SocketAddr; readonly why: "no-tunnel" }
    | {
        readonly kind: "hbone";
        readonly via: SocketAddr;
        readonly authority: string;
        readonly expect: readonly SpiffeId[];
        readonly why: "direct" | "service-waypoint" | "workload-waypoint";
      }
    | {
        /** A tunnel in a tunnel, through the gateway of another network. */
        readonly kind: "double-hbone";
        readonly gateway: SocketAddr;
        /** "hostname:port" of the service, for both tunnels. */
        readonly authority: string;
        readonly outer: readonly SpiffeId[];
        /** Who may answer beyond the gateway: the service's own names. None: nobody may, and it is refused. */
        readonly inner: readonly SpiffeId[];
        readonly why: "other-network" | "service-waypoint";
      }
    | {
        /** The endpoint is known by a hostname only: resolve it and ask again with `resolved`. */
        readonly kind: "resolve";
        readonly hostname: string;
        readonly prefer: "ipv4" | "ipv6";
        readonly why: "endpoint-hostname";
      }
    | { readonly kind: "reject"; readonly code: MeshErrorCode; readonly detail: string }
  );

export const NOTHING: Trail = { found: "unknown", service: undefined, workload: undefined, port: 0, candidates: [] };

export const reject = (code: MeshErrorCode, detail: string, trail: Trail): OutboundPlan => ({ kind: "reject", code, detail, ...trail });
