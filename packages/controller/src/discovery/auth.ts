// Who is the proxy at the other end of a stream, and is it who it says?

import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";
import type { Node } from "@ambit/shared/wire/types.ts";
import type { Caller } from "../tokens/identity.ts";

export type ProxyClient = {
  readonly kind: "ztunnel" | "waypoint";
  readonly namespace: string;
  readonly serviceAccount: string;
  /** "ns/name" of the Gateway whose waypoint it says to be; checked against the waypoint's service account at every answer. */
  readonly gateway: string | undefined;
};

const text = (v: unknown): string | undefined => (typeof v === "string" && v !== "" ? v : undefined);

/**
 * The node's own description must not contradict its token; it decides nothing that the token does not allow. Whoever sees the
 * whole mesh must run as one of `ztunnelAccounts` ("ns/sa"): any pod may mount a token for our audience.
 */
export const identifyProxy = (caller: Caller, node: Node, ztunnelAccounts: readonly string[]): Result<ProxyClient> => {
  const [kind = "", , name = ""] = node.id.split("~");
  if (kind !== "ztunnel" && kind !== "waypoint") return err(`node type ${JSON.stringify(kind)} is not served: want ztunnel or waypoint`);
  const claimed = {
    namespace: text(node.metadata.NAMESPACE) ?? name.slice(name.lastIndexOf(".") + 1),
    serviceAccount: text(node.metadata.SERVICE_ACCOUNT) ?? caller.serviceAccount,
  };
  if (claimed.namespace !== caller.namespace || claimed.serviceAccount !== caller.serviceAccount)
    return err(
      `the node says ${claimed.namespace}/${claimed.serviceAccount}, its token belongs to ${caller.namespace}/${caller.serviceAccount}`,
    );
  const account = `${caller.namespace}/${caller.serviceAccount}`;
  if (kind === "ztunnel" && !ztunnelAccounts.includes(account))
    return err(`${account} is no ztunnel: those run as ${ztunnelAccounts.join(" or ")}`);
  const gateway = text(node.metadata.GATEWAY_NAME) ?? caller.serviceAccount;
  return ok({ kind, ...claimed, gateway: kind === "waypoint" ? `${caller.namespace}/${gateway}` : undefined });
};
