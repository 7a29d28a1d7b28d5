// Does what a ServiceAccount token is bound to still exist, and which user is it?

import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";
import type { BoundObject, Claims } from "../jwt/token.ts";
import type { ObjectView } from "../registry/types.ts";
import { serviceAccountGroups, serviceAccountName, type User } from "./user.ts";

const alive = (view: ObjectView, bucket: string, { namespace, bound }: { namespace: string; bound: BoundObject }): boolean =>
  view.get(bucket, `${namespace}/${bound.name}`)?.metadata.uid === bound.uid;

/** The token's user, for one of the wanted audiences; the audiences it holds for are told with it. */
export const tokenUser = (
  claims: Claims,
  wanted: readonly string[],
  view: ObjectView,
): Result<{ readonly user: User; readonly audiences: readonly string[] }> => {
  const audiences = wanted.filter((a) => claims.audiences.includes(a));
  if (audiences.length === 0)
    return err(`token audiences ${JSON.stringify(claims.audiences)} is invalid for the target audiences ${JSON.stringify(wanted)}`);
  const { namespace, serviceAccount, pod, node, secret } = claims;
  if (!alive(view, "/serviceaccounts", { namespace, bound: serviceAccount }))
    return err("service account token has been invalidated: its ServiceAccount is gone");
  if (pod !== undefined && !alive(view, "/pods", { namespace, bound: pod }))
    return err("service account token has been invalidated: its pod is gone");
  if (secret !== undefined && !alive(view, "/secrets", { namespace, bound: secret }))
    return err("service account token has been invalidated: its secret is gone");
  const extra = {
    ...(claims.id === "" ? {} : { "authentication.kubernetes.io/credential-id": [`JTI=${claims.id}`] }),
    ...(pod === undefined
      ? {}
      : { "authentication.kubernetes.io/pod-name": [pod.name], "authentication.kubernetes.io/pod-uid": [pod.uid] }),
    ...(node === undefined
      ? {}
      : { "authentication.kubernetes.io/node-name": [node.name], "authentication.kubernetes.io/node-uid": [node.uid] }),
  };
  return ok({
    user: {
      name: serviceAccountName(namespace, serviceAccount.name),
      uid: serviceAccount.uid,
      groups: serviceAccountGroups(namespace),
      ...(Object.keys(extra).length === 0 ? {} : { extra }),
    },
    audiences,
  });
};
