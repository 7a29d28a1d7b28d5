// May this caller have a certificate for that identity? (ambient-l4 section 4)

import { parseSpiffeId, type SpiffeId, spiffeId } from "@ambit/shared/identity/spiffe.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";
import type { Caller } from "../tokens/identity.ts";

/** What the decision may ask of the cluster. */
export type PodView = {
  /** By "ns/name". */
  pod(key: string): Pod | undefined;
  /** Pods on the node that run as the service account. */
  podsOn(node: string, who: { readonly namespace: string; readonly serviceAccount: string }): readonly Pod[];
};

export type NodeAuthSettings = {
  readonly trustDomain: string;
  /** "ns/sa" of node agents that may ask for others. */
  readonly trustedNodeAccounts: readonly string[];
};

export const IMPERSONATED = "ImpersonatedIdentity";

/** The key of `PodView.podsOn`, for an index. */
export const nodeIdentityKey = (pod: Pod): string | undefined =>
  pod.spec.nodeName === undefined || pod.status?.phase === "Failed"
    ? undefined
    : `${pod.spec.nodeName}|${pod.metadata.namespace ?? ""}|${pod.spec.serviceAccountName ?? "default"}`;

/**
 * The caller's own identity; or the impersonated one, if the caller is a trusted node agent whose pod is still the one its token
 * was made for, and a pod with that identity that has not failed runs on the same node.
 */
export const authorizeIdentity = (
  ask: { readonly caller: Caller; readonly impersonated: string | undefined },
  pods: PodView,
  settings: NodeAuthSettings,
): Result<SpiffeId> => {
  const { caller, impersonated } = ask;
  if (impersonated === undefined) return ok(spiffeId(settings.trustDomain, caller.namespace, caller.serviceAccount));
  const wanted = parseSpiffeId(impersonated);
  if (!wanted.ok) return wanted;
  if (wanted.value.trustDomain !== settings.trustDomain)
    return err(`${impersonated} is of another trust domain than ${settings.trustDomain}`);
  const account = `${caller.namespace}/${caller.serviceAccount}`;
  if (!settings.trustedNodeAccounts.includes(account)) return err(`${account} may not ask for other identities`);
  if (caller.pod === undefined) return err(`the token of ${account} is not bound to a pod`);
  const key = `${caller.namespace}/${caller.pod.name}`;
  const pod = pods.pod(key);
  if (pod === undefined || pod.metadata.uid !== caller.pod.uid) return err(`pod ${key} with uid ${caller.pod.uid} does not exist`);
  if ((pod.spec.serviceAccountName ?? "default") !== caller.serviceAccount) return err(`pod ${key} does not run as ${account}`);
  const node = pod.spec.nodeName;
  if (node === undefined || node === "") return err(`pod ${key} is on no node`);
  const { namespace, serviceAccount } = wanted.value;
  const there = pods.podsOn(node, { namespace, serviceAccount }).some((p) => p.status?.phase !== "Failed");
  return there ? ok(wanted.value) : err(`no pod that runs as ${namespace}/${serviceAccount} is on node ${node}`);
};
