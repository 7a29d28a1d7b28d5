// What do we want the status of an object to say? (data: written by status/, compared with what is there)

import type { ParentReference } from "@ambit/shared/kube/objects/gateway.ts";
import type { Condition } from "@ambit/shared/kube/objects/meta.ts";

/** A condition without the times: those are the writer's. */
export type Wanted = Pick<Condition, "type" | "status"> & { readonly reason: string; readonly message: string };

export const condition = (type: string, holds: boolean, said: { readonly reason: string; readonly message: string }): Wanted => ({
  type,
  status: holds ? "True" : "False",
  ...said,
});

export type StatusKind = "services" | "authorizationPolicies" | "gatewayClasses" | "gateways" | "httpRoutes";

export type WantedListener = { readonly name: string; readonly attachedRoutes: number; readonly conditions: readonly Wanted[] };
export type WantedParent = { readonly parentRef: ParentReference; readonly conditions: readonly Wanted[] };

export type WantedStatus = {
  readonly resource: StatusKind;
  /** "ns/name", or "name" for cluster-wide kinds. */
  readonly object: string;
  readonly fieldManager: string;
  /** What the conditions were computed for; undefined for kinds that do not say. */
  readonly generation: number | undefined;
  /** Types that are ours: those not among `conditions` are taken away. */
  readonly owned: readonly string[];
  readonly conditions: readonly Wanted[];
  readonly addresses?: readonly { readonly type: "IPAddress" | "Hostname"; readonly value: string }[];
  readonly listeners?: readonly WantedListener[];
  readonly parents?: readonly WantedParent[];
};

export const statusKey = (s: Pick<WantedStatus, "resource" | "object">): string => `${s.resource}/${s.object}`;
