// How long do our certificates still hold? (metrics, under the names that Istio's agent gives them where it has them)

import type { CertStore } from "../ca/types.ts";
import type { World } from "../runtime/world.ts";
import type { GaugeChild, Metrics } from "../telemetry/metrics.ts";
import type { RevocationEvents } from "../tls/revocations.ts";

const STATES = ["Available", "Initializing", "Unavailable"] as const;

/**
 * `istio_agent_cert_expiry_seconds{resource_name}`: one per identity, negative once it has expired. `ambit_certificates{state}`: how many
 * there are. Call `refresh` before every scrape: what is told is then the truth of that moment.
 */
export const meterCertificates = (
  metrics: Pick<Metrics, "gauge">,
  certs: Pick<CertStore, "snapshot">,
  world: Pick<World, "now">,
): { refresh(): void } => {
  const expiry = metrics.gauge({
    name: "istio_agent_cert_expiry_seconds",
    help: "The time remaining, in seconds, before the certificate expires; negative when it has.",
    labels: ["resource_name"],
  });
  const held = metrics.gauge({ name: "ambit_certificates", help: "Workload certificates by their state.", labels: ["state"] });
  const counts = new Map<string, GaugeChild>(STATES.map((state) => [state, held.with({ state })]));
  let shown = new Set<string>();
  return {
    refresh: () => {
      const states = certs.snapshot();
      for (const [state, child] of counts) child.set(states.filter((s) => s.state === state).length);
      const now = new Set<string>();
      for (const { identity, cert } of states) {
        if (cert === undefined) continue;
        now.add(identity.uri);
        expiry.with({ resource_name: identity.uri }).set(Math.floor((cert.notAfter - world.now()) / 1000));
      }
      for (const gone of shown) if (!now.has(gone)) expiry.remove({ resource_name: gone });
      shown = now;
    },
  };
};

/** Istio's counters of what revocation lists have done. */
export const meterRevocations = (metrics: Pick<Metrics, "counter">): RevocationEvents => {
  const rejections = metrics.counter({
    name: "istio_crl_policy_rejections_total",
    help: "Connections refused or cut because a certificate of the peer is on a revocation list.",
    labels: ["reporter"],
  });
  const untracked = metrics.counter({
    name: "istio_crl_untracked_connections_total",
    help: "Connections whose peer's certificates cannot be held against revocation lists.",
    labels: ["reporter"],
  });
  return { rejected: (reporter) => rejections.with({ reporter }).add(), untracked: (reporter) => untracked.with({ reporter }).add() };
};
