// What do the review resources answer: whose token is it, may they, who am I?

import { at, isObject, type JsonObject, obj, str, stringMap, strings } from "../model/object.ts";
import type { ObjectView } from "../registry/types.ts";
import { type Attributes, authorize, grants } from "./rbac.ts";
import { type User, userInfo } from "./user.ts";

const attributesOf = (spec: JsonObject): Attributes => {
  const r = spec.resourceAttributes;
  if (!isObject(r)) {
    const p = stringMap(spec.nonResourceAttributes);
    return { kind: "path", verb: p.verb ?? "", path: p.path ?? "" };
  }
  const s = stringMap(r);
  return {
    kind: "resource",
    verb: s.verb ?? "",
    group: s.group ?? "",
    resource: s.resource ?? "",
    subresource: s.subresource || undefined,
    namespace: s.namespace || undefined,
    name: s.name || undefined,
  };
};

/** status of SubjectAccessReview, LocalSubjectAccessReview and SelfSubjectAccessReview. */
export const accessStatus = (spec: JsonObject, self: User | undefined, view: ObjectView): JsonObject => {
  const extra = Object.fromEntries(Object.entries(obj(spec.extra)).map(([k, v]) => [k, strings(v)]));
  const user = self ?? { name: str(spec.user) ?? "", groups: strings(spec.groups), extra };
  const d = authorize(user, attributesOf(spec), view);
  return { allowed: d.allowed, ...(d.reason === "" ? {} : { reason: d.reason }) };
};

/** status of SelfSubjectRulesReview. */
export const rulesStatus = (spec: JsonObject, user: User, view: ObjectView): JsonObject => {
  const rules = [...grants(user, str(spec.namespace), view)].flatMap((g) => g.rules);
  return {
    resourceRules: rules
      .filter((r) => r.resources.length > 0)
      .map((r) => ({
        verbs: r.verbs,
        apiGroups: r.apiGroups,
        resources: r.resources,
        ...(r.resourceNames.length === 0 ? {} : { resourceNames: r.resourceNames }),
      })),
    nonResourceRules: rules
      .filter((r) => r.nonResourceURLs.length > 0)
      .map((r) => ({ verbs: r.verbs, nonResourceURLs: r.nonResourceURLs })),
    incomplete: false,
  };
};

export const selfStatus = (user: User): JsonObject => ({ userInfo: userInfo(user) });

export type TokenSpec = {
  readonly audiences: readonly string[];
  readonly seconds: number;
  readonly bound: { readonly kind: string; readonly name: string; readonly uid: string | undefined } | undefined;
};

/** What a TokenRequest asks for; a mistake comes back as one sentence. */
export const tokenSpec = (body: unknown, defaultAudiences: readonly string[]): TokenSpec | { readonly error: string } => {
  const spec = obj(at(body, "spec"));
  const asked = spec.expirationSeconds ?? 3600;
  if (typeof asked !== "number" || !Number.isInteger(asked) || asked < 600)
    return { error: "spec.expirationSeconds: Invalid value: may not specify a duration less than 10 minutes" };
  if (asked > 2 ** 32) return { error: "spec.expirationSeconds: Invalid value: may not specify a duration larger than 2^32 seconds" };
  const audiences = strings(spec.audiences);
  const ref = spec.boundObjectRef;
  const { kind = "", name = "", uid } = stringMap(ref);
  if (isObject(ref) && (!["Pod", "Secret", "Node"].includes(kind) || name === ""))
    return {
      error: `spec.boundObjectRef: cannot bind token for serviceaccount to kind ${JSON.stringify(kind)} named ${JSON.stringify(name)}`,
    };
  return {
    audiences: audiences.length === 0 ? defaultAudiences : audiences,
    seconds: asked,
    bound: isObject(ref) ? { kind, name, uid: uid || undefined } : undefined,
  };
};

/** The pods' service account must be the token's; undefined when it is. */
export const boundMismatch = (pod: JsonObject, serviceAccount: string): string | undefined => {
  const own = str(obj(pod.spec).serviceAccountName) ?? "default";
  return own === serviceAccount
    ? undefined
    : `cannot bind token for serviceaccount "${serviceAccount}" to pod running with different serviceaccount name "${own}"`;
};
