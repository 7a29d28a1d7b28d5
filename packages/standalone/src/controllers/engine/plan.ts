// What does a controller want done, and why?

import type { DeleteOptions, PatchRequest } from "@ambit/shared/kube/client.ts";
import type { KubeObject } from "@ambit/shared/kube/objects/meta.ts";
import type { Resource, ResourceKey } from "@ambit/shared/kube/resources.ts";

export type Action =
  | { readonly do: "create"; readonly resource: Resource; readonly object: KubeObject; readonly why: string }
  /** Carries resourceVersion: fails when the object changed since. */
  | { readonly do: "update"; readonly resource: Resource; readonly object: KubeObject; readonly subresource?: string; readonly why: string }
  | { readonly do: "patch"; readonly resource: Resource; readonly key: ResourceKey; readonly patch: PatchRequest; readonly why: string }
  /** Only the object with this very uid. */
  | { readonly do: "delete"; readonly resource: Resource; readonly object: KubeObject; readonly opts?: DeleteOptions; readonly why: string }
  | { readonly do: "bind"; readonly pod: KubeObject; readonly node: string; readonly why: string }
  /** Told to people by `kubectl describe` and `kubectl get events`; never decides anything. */
  | {
      readonly do: "event";
      readonly about: KubeObject;
      readonly type: "Normal" | "Warning";
      readonly reason: string;
      readonly message: string;
    };

export type Plan = {
  /** Carried out in this order; the first failure ends the attempt, and the key is looked at again. */
  readonly actions: readonly Action[];
  /** Look at the key again after this time even if nothing changes. */
  readonly againMs?: number | undefined;
};

export const NOTHING: Plan = { actions: [] };

/** The earlier of two times that may be absent. */
export const earlier = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined ? b : b === undefined ? a : Math.min(a, b);
