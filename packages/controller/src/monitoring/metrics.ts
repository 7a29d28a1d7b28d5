// What does the controller count? (istiod's names where it has them)

import type { Metrics } from "@ambit/shared/telemetry/metrics.ts";
import type { XdsServer } from "@ambit/shared/xds/server.ts";
import type { Graph } from "../collections/core.ts";
import type { Mesh } from "../model/mesh.ts";

export const VERSION = "0.1.0";

export const meterController = (
  metrics: Metrics,
  of: { readonly graph: Graph; readonly mesh: Mesh; readonly xds: Pick<XdsServer, "streams"> },
): void => {
  metrics
    .gauge({ name: "istio_build", help: "Which build runs", labels: ["component", "tag"] })
    .with({ component: "pilot", tag: VERSION })
    .set(1);
  metrics.gaugeOf({ name: "pilot_xds", help: "Proxies connected to this controller" }, () => of.xds.streams().length);
  metrics.gaugeOf({ name: "pilot_services", help: "Services known to the mesh" }, () => of.mesh.services.size);
  metrics.gaugeOf({ name: "ambit_workloads", help: "Workloads known to the mesh" }, () => of.mesh.workloads.size);
  metrics.gaugeOf({ name: "ambit_waypoints", help: "Waypoint Gateways known to the mesh" }, () => of.mesh.waypoints.size);
  metrics.gaugeOf({ name: "ambit_policies", help: "Authorization policies sent to ztunnels" }, () => of.mesh.policies.size);
  metrics.gaugeOf({ name: "ambit_graph_runs", help: "How often collections were settled since the start" }, () =>
    of.graph.vertices.reduce((n, v) => n + v.runs(), 0),
  );
};
