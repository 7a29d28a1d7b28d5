// How does a workload describe itself to its peer? (ambient-l4 section 1.7)

import type { Baggage } from "@ambit/shared/hbone/headers.ts";
import type { Workload } from "@ambit/shared/state/types.ts";

export const baggageOf = (w: Workload): Baggage => ({
  clusterId: w.clusterId,
  namespace: w.namespace,
  workloadType: w.workloadType,
  workloadName: w.workloadName,
  canonicalName: w.canonicalName,
  canonicalRevision: w.canonicalRevision,
  region: w.locality.region,
  zone: w.locality.zone,
});
