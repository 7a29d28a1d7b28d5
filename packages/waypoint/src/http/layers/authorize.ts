// May this request pass?

import { authorize, verdictText } from "@ambit/shared/authz/authorize.ts";
import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import { httpSubject, policySet } from "../../route/rbac.ts";
import type { Layer } from "../context.ts";

/** Asks the service's policies, as of this very request. */
export const authorizeRequest = (): Layer => (next) => (ctx) => {
  const { service } = ctx.addressed;
  if (service.policies.length === 0 && service.brokenPolicies.length === 0) return next(ctx);
  const verdict = authorize(policySet(service), httpSubject(ctx.connection, ctx.request));
  if (!verdict.allowed) {
    ctx.report.details = `rbac_access_denied_matched_policy[${"policy" in verdict ? verdict.policy : "none"}]`;
    throw new MeshError("DENY", verdictText(verdict));
  }
  return next(ctx);
};
