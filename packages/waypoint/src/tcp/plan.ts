// Which backend takes an opaque connection? (TCPRoute weights, else the service itself)

import type { MeshErrorCode } from "@ambit/shared/errors/codes.ts";
import type { WaypointPort, WaypointService } from "@ambit/shared/route/types.ts";
import { pickBackend } from "../route/pick.ts";
import type { ServiceTarget } from "../route/plan.ts";

export type TcpPlan =
  | { readonly kind: "forward"; readonly backend: ServiceTarget }
  | { readonly kind: "fail"; readonly code: MeshErrorCode; readonly detail: string };

/** `random` is uniform in [0, 1). An invalid backend's share of connections is refused. */
export const planTcp = (s: WaypointService, p: WaypointPort, random: number): TcpPlan => {
  if (p.tcpBackends.length === 0)
    return { kind: "forward", backend: { kind: "service", namespace: s.namespace, hostname: s.hostname, port: p.port } };
  const chosen = pickBackend(p.tcpBackends, random);
  if (chosen === undefined) return { kind: "fail", code: "INVALID_BACKEND", detail: "the route has no backend with a weight above 0" };
  if (chosen.target.kind === "invalid") return { kind: "fail", code: "INVALID_BACKEND", detail: chosen.target.reason };
  return { kind: "forward", backend: chosen.target };
};
