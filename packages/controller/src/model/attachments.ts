// Which policies that only a waypoint can enforce are attached to what? (targetRefs of AuthorizationPolicy and RequestAuthentication)

import type { RequestAuthentication } from "@ambit/shared/kube/objects/istio.ts";
import type { Collection, Graph } from "../collections/core.ts";
import { derive } from "../collections/derive.ts";
import { sameData } from "../collections/equal.ts";
import { join } from "../collections/join.ts";
import { lookup } from "../collections/lookup.ts";
import type { L7Policy } from "./authorization.ts";
import { policyTargetKeys } from "./policy-targets.ts";

export type Attachment = {
  /** "AuthorizationPolicy ns/name" */
  readonly policy: string;
  /** Target keys as of policy-targets.ts. */
  readonly targets: readonly string[];
};

export const authentications = (ra: RequestAuthentication, rootNamespace: string): Attachment => {
  const { namespace = "", name } = ra.metadata;
  const targets = [...(ra.spec?.targetRefs ?? []), ...(ra.spec?.targetRef === undefined ? [] : [ra.spec.targetRef])];
  return { policy: `RequestAuthentication ${namespace}/${name}`, targets: policyTargetKeys({ namespace, targets }, rootNamespace) };
};

/** By target key. A policy that decides nothing (AUDIT) asks for no waypoint. */
export const attachments = (
  graph: Graph,
  from: { readonly l7: Collection<L7Policy>; readonly requestAuthentications: Collection<RequestAuthentication> },
  rootNamespace: string,
): Collection<readonly Attachment[]> => {
  const key = (a: Attachment): string => a.policy;
  const byPolicy = derive<L7Policy, Attachment>({ graph, name: "PolicyAttachments", from: from.l7, key, equal: sameData }, (_, p) =>
    p.outcome.kind === "inert"
      ? []
      : [{ policy: `AuthorizationPolicy ${p.namespace}/${p.name}`, targets: policyTargetKeys(p, rootNamespace) }],
  );
  const byAuthentication = derive<RequestAuthentication, Attachment>(
    { graph, name: "AuthenticationAttachments", from: from.requestAuthentications, key, equal: sameData },
    (_, ra) => [authentications(ra, rootNamespace)],
  );
  const all = join({ graph, name: "Attachments", from: [byPolicy, byAuthentication], equal: sameData });
  return lookup({ graph, name: "AttachmentsByTarget", from: all, keysOf: (a) => a.targets, equal: sameData });
};
