// How long do our certificates still hold? (metrics, under the names that Istio's agent gives them where it has them)

import type { CertStore } from "../ca/types.ts";
import type { World } from "../runtime/world.ts";
import type { GaugeChild, Metrics } from "../telemetry/metrics.ts";

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
