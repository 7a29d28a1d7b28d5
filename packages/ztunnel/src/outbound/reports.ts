// What is counted of endpoints that keep failing?

import type { Metrics } from "@ambit/shared/telemetry/metrics.ts";

export type EndpointReports = {
  /** One begins to be left alone. */
  ejected(): void;
  /** One is chosen again like any other, or forgotten. */
  restored(): void;
};

export const createEndpointReports = (metrics: Pick<Metrics, "counter" | "gauge">): EndpointReports => {
  const ejections = metrics
    .counter({ name: "ambit_endpoint_ejections_total", help: "Endpoints that began to be left alone because they kept failing." })
    .with({});
  const now = metrics.gauge({ name: "ambit_endpoints_ejected", help: "Endpoints that are left alone now, by each data thread." }).with({});
  return {
    ejected: () => {
      ejections.add();
      now.add(1);
    },
    restored: () => now.add(-1),
  };
};
