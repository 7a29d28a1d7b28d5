// How does what a proxy decides by read in `ambit explain`?

import type { ExplainCandidate, ExplainVerdict, ExplainWorkload } from "../admin/explain.ts";
import { authorize, explainPolicies, type PolicySet, verdictText } from "../authz/authorize.ts";
import type { AuthzSubject } from "../authz/types.ts";
import type { Candidate } from "../state/balance.ts";
import { identityOf, type Workload } from "../state/types.ts";

export const explainWorkload = (w: Workload): ExplainWorkload => ({
  uid: w.uid,
  namespace: w.namespace,
  name: w.name,
  node: w.node,
  addresses: w.addresses,
  identity: identityOf(w).uri,
});

export const explainCandidate = (c: Candidate): ExplainCandidate => ({
  namespace: c.workload.namespace,
  name: c.workload.name,
  port: c.port,
  rank: c.rank,
  excluded: c.excluded,
});

/** What the policies say of the connection or request, all together and one by one. */
export const explainVerdict = (set: PolicySet, subject: AuthzSubject): ExplainVerdict => {
  const verdict = authorize(set, subject);
  return { allowed: verdict.allowed, text: verdictText(verdict), policies: explainPolicies(set, subject), missing: set.missing };
};
