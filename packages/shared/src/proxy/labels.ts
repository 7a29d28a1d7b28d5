// Which metric labels tell who a workload and a service are? (istio_tcp_* and istio_request*, ambient-l4 section 6.1)

import type { Service, Workload } from "../state/types.ts";

/** The source's labels in the order in which Istio's proxies print them. */
export const SOURCE_LABELS = [
  "source_workload",
  "source_canonical_service",
  "source_canonical_revision",
  "source_workload_namespace",
  "source_principal",
  "source_app",
  "source_version",
  "source_cluster",
] as const;

/** The word of Istio's metrics for what is not known. */
export const known = (text: string | undefined): string => (text === undefined || text === "" ? "unknown" : text);

/** `principal` is the SPIFFE id that the connection proved. */
export const sourceLabels = (w: Workload | undefined, principal: string | undefined) => ({
  source_workload: known(w?.workloadName),
  source_canonical_service: known(w?.canonicalName),
  source_canonical_revision: known(w?.canonicalRevision),
  source_workload_namespace: known(w?.namespace),
  source_principal: known(principal),
  source_app: known(w?.canonicalName),
  source_version: known(w?.canonicalRevision),
  source_cluster: known(w?.clusterId),
});

/** `principal` is the SPIFFE id that the connection proved. */
export const destinationLabels = (w: Workload | undefined, principal: string | undefined) => ({
  destination_workload: known(w?.workloadName),
  destination_canonical_service: known(w?.canonicalName),
  destination_canonical_revision: known(w?.canonicalRevision),
  destination_workload_namespace: known(w?.namespace),
  destination_principal: known(principal),
  destination_app: known(w?.canonicalName),
  destination_version: known(w?.canonicalRevision),
  destination_cluster: known(w?.clusterId),
});

export const serviceLabels = (s: Pick<Service, "hostname" | "namespace" | "name"> | undefined) => ({
  destination_service: known(s?.hostname),
  destination_service_namespace: known(s?.namespace),
  destination_service_name: known(s?.name),
});
