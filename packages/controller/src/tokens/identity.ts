// Whose token is it, by what the API server says of it?

import type { TokenReview } from "@ambit/shared/kube/objects/core.ts";
import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";

/** A service account, with the pod its token is bound to when it is. */
export type Caller = {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly pod: { readonly name: string; readonly uid: string } | undefined;
};

const POD_NAME = "authentication.kubernetes.io/pod-name";
const POD_UID = "authentication.kubernetes.io/pod-uid";

/** The caller, if the review says that the token is valid for one of the audiences and belongs to a service account. */
export const callerOf = (review: TokenReview, audiences: readonly string[]): Result<Caller> => {
  const status = review.status ?? {};
  if (status.authenticated !== true)
    return err(`the token is not valid${status.error === undefined || status.error === "" ? "" : `: ${status.error}`}`);
  // A server that does not know audiences leaves them out: then the token was never checked for ours (Kubernetes API docs).
  if (!(status.audiences ?? []).some((a) => audiences.includes(a))) return err(`the token is not for audience ${audiences.join(" or ")}`);
  const [, namespace, serviceAccount] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(status.user?.username ?? "") ?? [];
  if (namespace === undefined || serviceAccount === undefined) return err("the token does not belong to a service account");
  const name = status.user?.extra?.[POD_NAME]?.[0];
  const uid = status.user?.extra?.[POD_UID]?.[0];
  return ok({ namespace, serviceAccount, pod: name === undefined || uid === undefined ? undefined : { name, uid } });
};

/** The token of "authorization: Bearer <token>"; gRPC metadata holds lists. */
export const bearerToken = (values: readonly unknown[]): Result<string> => {
  const tokens = values.flatMap((v) => (typeof v === "string" ? (/^Bearer +(\S+)$/i.exec(v)?.slice(1) ?? []) : []));
  const [token] = tokens;
  return token === undefined || tokens.length > 1 ? err("the call carries no bearer token") : ok(token);
};
