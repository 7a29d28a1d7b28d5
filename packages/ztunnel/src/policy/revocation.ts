// What is counted of peers whose certificates have been revoked?

import type { Metrics } from "@ambit/shared/telemetry/metrics.ts";
import type { RevocationEvents } from "@ambit/shared/tls/revocations.ts";

/** istio_crl_policy_rejections_total and istio_crl_untracked_connections_total, by reporter. */
export const revocationEvents = (metrics: Pick<Metrics, "counter">): RevocationEvents => {
  const rejected = metrics.counter({
    name: "istio_crl_policy_rejections_total",
    help: "Connections refused or cut because the peer's certificate has been revoked.",
    labels: ["reporter"],
  });
  const untracked = metrics.counter({
    name: "istio_crl_untracked_connections_total",
    help: "Connections whose peer's chain could not be read, so that no revocation list can speak of them.",
    labels: ["reporter"],
  });
  return {
    rejected: (reporter) => rejected.with({ reporter }).add(),
    untracked: (reporter) => untracked.with({ reporter }).add(),
  };
};
