// Does a write to a role or binding give more than the writer has? (registry/rbac/{clusterrole,rolebinding}/policybased)

import { type ApiError, forbidden } from "../model/errors.ts";
import { type KubeObject, stringMap } from "../model/object.ts";
import type { ApiResource, ObjectView } from "../registry/types.ts";
import { authorize, BUCKETS, grants, type PolicyRule, ruleCovered, rulesOf, SUPERUSERS } from "./rbac.ts";
import type { User } from "./user.ts";

const GROUP = "rbac.authorization.k8s.io";

const shown = (r: PolicyRule): string => {
  const parts = [
    r.apiGroups.length > 0 ? `APIGroups:${JSON.stringify(r.apiGroups)}` : "",
    r.resources.length > 0 ? `Resources:${JSON.stringify(r.resources)}` : "",
    r.nonResourceURLs.length > 0 ? `NonResourceURLs:${JSON.stringify(r.nonResourceURLs)}` : "",
    `Verbs:${JSON.stringify(r.verbs)}`,
  ];
  return `{${parts.filter((p) => p !== "").join(", ")}}`;
};

const refuse = (r: ApiResource, o: KubeObject, { user, extra }: { user: User; extra: readonly PolicyRule[] }): ApiError =>
  forbidden(
    r,
    o.metadata.name,
    `user ${JSON.stringify(user.name)} (groups=${JSON.stringify(user.groups)}) is attempting to grant RBAC permissions not currently held:\n${extra.map(shown).join("\n")}`,
  );

/** Throws 403 unless the writer holds every permission that the role or binding gives, or may `escalate` (roles) or `bind` (bindings). */
export const checkEscalation = (
  user: User,
  { resource: r, object: o }: { resource: ApiResource; object: KubeObject },
  view: ObjectView,
): void => {
  if (r.group !== GROUP || user.groups.includes(SUPERUSERS)) return;
  const namespace = o.metadata.namespace;
  const isBinding = r.bucket === BUCKETS.roleBindings || r.bucket === BUCKETS.clusterRoleBindings;
  const ref = stringMap(o.roleRef);
  const roleBucket = ref.kind === "ClusterRole" ? BUCKETS.clusterRoles : BUCKETS.roles;
  const role = !isBinding ? o : view.get(roleBucket, ref.kind === "ClusterRole" ? (ref.name ?? "") : `${namespace}/${ref.name}`);
  const free = isBinding
    ? { verb: "bind", resource: ref.kind === "ClusterRole" ? "clusterroles" : "roles", name: ref.name }
    : { verb: "escalate", resource: r.resource, name: o.metadata.name };
  if (authorize(user, { kind: "resource", group: GROUP, namespace, ...free }, view).allowed) return;
  // A binding to a role that does not exist gives nothing today but anything tomorrow.
  if (role === undefined)
    throw forbidden(
      r,
      o.metadata.name,
      `user ${JSON.stringify(user.name)} cannot bind ${ref.kind} ${JSON.stringify(ref.name)}, which does not exist`,
    );
  const have = [...grants(user, namespace, view)].flatMap((g) => g.rules);
  const extra = rulesOf(role, view).filter((w) => !ruleCovered(w, have));
  if (extra.length > 0) throw refuse(r, o, { user, extra });
};
