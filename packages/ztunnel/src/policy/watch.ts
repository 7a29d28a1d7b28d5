// Which live connections does a new set of policies refuse?

import { authorize, policiesFor, verdictText } from "@ambit/shared/authz/authorize.ts";
import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { Live } from "@ambit/shared/live/store.ts";
import type { StateUpdate } from "@ambit/shared/state/store.ts";
import type { LocalWorkload, MeshView } from "@ambit/shared/state/view.ts";
import type { InboundConnection } from "../pod.ts";

/** Policies changed, or what they apply to: then every live connection is asked again. */
export const concernsPolicy = (updates: readonly StateUpdate[], pods: readonly { readonly who: LocalWorkload }[]): boolean => {
  const local = new Set(pods.map((p) => `${p.who.namespace}/${p.who.name}`));
  return updates.some((u) => {
    if (u.kind === "workload") return local.has(`${u.workload.namespace}/${u.workload.name}`);
    return u.kind === "policy" || u.kind === "remove-policy" || u.kind === "refuse-policy";
  });
};

/** Asks the policies again for every live inbound connection, and ends those that are denied now. */
export const recheck = (view: MeshView, live: Pick<Live<InboundConnection>, "list">): void => {
  for (const connection of live.list()) {
    const workload = view.workload(connection.info.workload.uid) ?? connection.info.workload;
    const verdict = authorize(policiesFor(view, workload), connection.info.subject);
    if (!verdict.allowed) connection.abort(new MeshError("DENY_LATE", `connection closed due to policy change: ${verdictText(verdict)}`));
  }
};
