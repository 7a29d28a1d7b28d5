// How far is a waypoint's Gateway: accepted, deployed, reachable?

import type { Deployment } from "@ambit/shared/kube/objects/apps.ts";
import type { Service as KubeService, ServiceAccount } from "@ambit/shared/kube/objects/core.ts";
import type { Gateway, GatewayListener } from "@ambit/shared/kube/objects/gateway.ts";
import type { KubeObject } from "@ambit/shared/kube/objects/meta.ts";
import { findCondition } from "@ambit/shared/kube/objects/meta.ts";
import { HBONE_PORT } from "../model/labels.ts";
import { clusterIps } from "../model/services.ts";
import { type MeshSettings, serviceHostname } from "../model/settings.ts";
import { condition, type Wanted, type WantedListener, type WantedStatus } from "./conditions.ts";

/** What there is under the names that the Gateway's waypoint needs. */
export type Deployed = {
  readonly service: KubeService | undefined;
  readonly deployment: Deployment | undefined;
  readonly serviceAccount: ServiceAccount | undefined;
};

const isHbone = (l: GatewayListener): boolean => l.protocol === "HBONE" && l.port === HBONE_PORT;

/** Why the Gateway cannot be deployed; undefined when it can. */
export const invalidGateway = (g: Gateway): string | undefined => {
  if (!g.spec.listeners.some(isHbone)) return `a waypoint needs a listener with protocol HBONE on port ${HBONE_PORT}`;
  if ((g.spec.addresses ?? []).length > 0) return "spec.addresses is not supported: remove it";
  return undefined;
};

/** We may only edit what this Gateway owns: an object of somebody else under the same name is left alone. */
const isForeign = (object: KubeObject | undefined, gateway: Gateway): boolean =>
  object !== undefined && !(object.metadata.ownerReferences ?? []).some((o) => o.uid === gateway.metadata.uid);

/** Which of the names we need is taken by somebody else's object. */
export const conflictOf = (gateway: Gateway, deployed: Deployed): string | undefined => {
  const key = `${gateway.metadata.namespace}/${gateway.metadata.name}`;
  const needed: readonly (readonly [string, KubeObject | undefined])[] = [
    ["Deployment", deployed.deployment],
    ["Service", deployed.service],
    // The worst of them: its pods' identity would be the waypoint's, and it would be deleted with the Gateway.
    ["ServiceAccount", deployed.serviceAccount],
  ];
  const taken = needed.find(([, object]) => isForeign(object, gateway));
  return taken === undefined ? undefined : `${taken[0]} ${key} exists and does not belong to this Gateway: rename one of them`;
};

const isAvailable = (d: Deployment | undefined): boolean =>
  d !== undefined && (findCondition(d.status?.conditions, "Available")?.status === "True" || (d.status?.availableReplicas ?? 0) > 0);

type Addresses = NonNullable<WantedStatus["addresses"]>;

/**
 * Given once the waypoint can be reached; never taken back while the Gateway lives: traffic must fail at a waypoint that is
 * down, not pass it by.
 */
const addressesOf = (g: Gateway, { service, deployment }: Deployed, settings: MeshSettings): Addresses => {
  const given: Addresses = (g.status?.addresses ?? []).map((a) => ({
    type: a.type === "Hostname" ? "Hostname" : "IPAddress",
    value: a.value,
  }));
  const { namespace = "", name } = g.metadata;
  if (service === undefined || isForeign(service, g)) return given;
  const ips = clusterIps(service);
  if (ips.length === 0 || (given.length === 0 && !isAvailable(deployment))) return given;
  return [
    ...ips.map((value) => ({ type: "IPAddress", value }) as const),
    { type: "Hostname", value: serviceHostname({ namespace, name }, settings) },
  ];
};

const programmed = (g: Gateway, deployed: Deployed, addresses: Addresses): Wanted => {
  const no = (reason: string, message: string) => condition("Programmed", false, { reason, message });
  const invalid = invalidGateway(g);
  if (invalid !== undefined) return no("Invalid", invalid);
  const conflict = conflictOf(g, deployed);
  if (conflict !== undefined) return no("Invalid", conflict);
  if (deployed.service === undefined || deployed.deployment === undefined) return no("Pending", "the waypoint is being deployed");
  if (!isAvailable(deployed.deployment)) return no("Pending", "no pod of the waypoint is ready");
  if (addresses.length === 0) return no("AddressNotAssigned", "the waypoint's Service has no cluster IP");
  return condition("Programmed", true, {
    reason: "Programmed",
    message: `the waypoint is reached at ${addresses.map((a) => a.value).join(", ")}`,
  });
};

const listenerStatus = (l: GatewayListener, ready: boolean): WantedListener => {
  const ours = isHbone(l);
  return {
    name: l.name,
    attachedRoutes: 0,
    conditions: [
      ours
        ? condition("Accepted", true, { reason: "Accepted", message: "No errors found" })
        : condition("Accepted", false, {
            reason: "UnsupportedProtocol",
            message: `a waypoint only serves protocol HBONE on port ${HBONE_PORT}`,
          }),
      condition("Conflicted", false, { reason: "NoConflicts", message: "No errors found" }),
      condition(
        "Programmed",
        ours && ready,
        ours && ready ? { reason: "Programmed", message: "No errors found" } : { reason: "Invalid", message: "not served" },
      ),
      condition("ResolvedRefs", true, { reason: "ResolvedRefs", message: "No errors found" }),
    ],
  };
};

export const gatewayStatus = (g: Gateway, deployed: Deployed, settings: MeshSettings): WantedStatus => {
  const invalid = invalidGateway(g);
  const addresses = addressesOf(g, deployed, settings);
  const isProgrammed = programmed(g, deployed, addresses);
  return {
    resource: "gateways",
    object: `${g.metadata.namespace}/${g.metadata.name}`,
    fieldManager: "istio-gateway",
    generation: g.metadata.generation,
    owned: ["Accepted", "Programmed"],
    conditions: [
      invalid === undefined
        ? condition("Accepted", true, { reason: "Accepted", message: "Resource accepted" })
        : condition("Accepted", false, { reason: "ListenersNotValid", message: invalid }),
      isProgrammed,
    ],
    addresses,
    listeners: g.spec.listeners.map((l) => listenerStatus(l, isProgrammed.status === "True")),
  };
};
