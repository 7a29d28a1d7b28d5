// How does the whole graph hang together, from Kubernetes objects to what proxies and status are told? (start reading here)

import { type Policy, policyKey } from "@ambit/shared/authz/types.ts";
import type { AuthorizationPolicy, PeerAuthentication } from "@ambit/shared/kube/objects/istio.ts";
import type { Workload } from "@ambit/shared/state/types.ts";
import { type Address, addressName } from "@ambit/shared/wire/types.ts";
import type { Collection, Graph } from "../collections/core.ts";
import { derive } from "../collections/derive.ts";
import { sameData as equal } from "../collections/equal.ts";
import { join } from "../collections/join.ts";
import { lookup } from "../collections/lookup.ts";
import type { WantedStatus } from "../gateway/conditions.ts";
import { httpRoutes } from "../gateway/port-routes.ts";
import type { CompiledRoute } from "../gateway/routes.ts";
import { withAliases } from "./aliases.ts";
import { attachments } from "./attachments.ts";
import { type L4Policy, type L7Policy, toL4Policy, toL7Policy } from "./authorization.ts";
import { selectingServices, sliceTargets } from "./endpoints.ts";
import type { Inputs } from "./inputs.ts";
import { namespaceInfos } from "./namespaces.ts";
import { nodeInfos } from "./nodes.ts";
import { convertedPolicies, type PeerAuth, staticStrictPolicy, toPeerAuth } from "./peer-authentication.ts";
import { podPolicyNames } from "./pod-policies.ts";
import { policyTargetKeys } from "./policy-targets.ts";
import { type BoundService, kubeServices } from "./services.ts";
import type { MeshSettings } from "./settings.ts";
import { wantedStatuses } from "./statuses.ts";
import { gatewayServices, type OwnedService, ownedServices } from "./waypoint-services.ts";
import { type Waypoint, waypoints } from "./waypoints.ts";
import { podWorkloads, sliceWorkloads } from "./workloads.ts";

export type Mesh = {
  readonly waypoints: Collection<Waypoint>;
  readonly services: Collection<BoundService>;
  readonly workloads: Collection<Workload>;
  /** What ztunnels and waypoints are told of workloads and services, by xDS resource name. */
  readonly addresses: Collection<Address>;
  /** What ztunnels enforce, by "ns/name". */
  readonly policies: Collection<Policy>;
  readonly routes: Collection<CompiledRoute>;
  /** What waypoints are told of the services they own, by "ns/hostname". */
  readonly waypointServices: Collection<OwnedService>;
  /** What people are told. */
  readonly statuses: Collection<WantedStatus>;
};

export const buildMesh = (graph: Graph, inputs: Inputs, settings: MeshSettings): Mesh => {
  const who = accessRules(graph, inputs, settings);
  const where = places(graph, inputs, { settings, who });
  const what = requests(graph, inputs, { settings, who, where });
  const statuses = wantedStatuses(graph, { inputs, services: where.services, waypoints: where.waypoints, routes: what.routes }, settings);
  return { ...where, policies: who.policies, ...what, statuses };
};

const nameOf = (o: { readonly namespace: string; readonly name: string }): string => `${o.namespace}/${o.name}`;

/** Who may talk to whom: policies for ztunnels, policies for waypoints, and what PeerAuthentications become. */
const accessRules = (graph: Graph, inputs: Inputs, { rootNamespace, trustDomain, trustDomainAliases }: MeshSettings) => {
  const names = [trustDomain, ...trustDomainAliases];
  const from = inputs.authorizationPolicies;
  const some = <T>(value: T | undefined): readonly T[] => (value === undefined ? [] : [value]);
  const l4 = derive<AuthorizationPolicy, L4Policy>({ graph, name: "L4Policies", from, key: nameOf, equal }, (_, ap) =>
    some(toL4Policy(ap, rootNamespace)).map((p) => (p.policy === undefined ? p : { ...p, policy: withAliases(p.policy, names) })),
  );
  const l7 = derive<AuthorizationPolicy, L7Policy>({ graph, name: "L7Policies", from, key: nameOf, equal }, (_, ap) =>
    some(toL7Policy(ap)).map((p) =>
      p.outcome.kind === "enforced" ? { ...p, outcome: { ...p.outcome, policy: withAliases(p.outcome.policy, names) } } : p,
    ),
  );
  const peerAuths = derive<PeerAuthentication, PeerAuth>(
    { graph, name: "PeerAuths", from: inputs.peerAuthentications, key: nameOf, equal },
    (_, pa) => [toPeerAuth(pa)],
  );
  const peerAuthsByNamespace = lookup({ graph, name: "PeerAuthsByNamespace", from: peerAuths, keysOf: (p) => [p.namespace], equal });
  const converted = derive<readonly PeerAuth[], Policy>(
    { graph, name: "ConvertedPolicies", from: peerAuthsByNamespace, reads: [peerAuthsByNamespace], key: policyKey, equal },
    (get, own) => [
      staticStrictPolicy(rootNamespace),
      ...convertedPolicies({ own, root: get.one(peerAuthsByNamespace, rootNamespace) ?? [] }, rootNamespace),
    ],
  );
  const attached = derive<L4Policy, Policy>({ graph, name: "AttachedPolicies", from: l4, key: policyKey, equal }, (_, p) => some(p.policy));
  const selecting = lookup<L4Policy>({
    graph,
    name: "SelectingPolicies",
    from: l4,
    keysOf: (p) => (p.selector !== undefined && p.policy !== undefined ? [p.namespace] : []),
    equal,
  });
  return { l7, peerAuthsByNamespace, selecting, policies: join({ graph, name: "Policies", from: [converted, attached], equal }) };
};
type AccessRules = ReturnType<typeof accessRules>;

/** Who is where: waypoints, services with their waypoints, workloads with their services, waypoints and policies. */
const places = (graph: Graph, inputs: Inputs, given: { readonly settings: MeshSettings; readonly who: AccessRules }) => {
  const { settings, who } = given;
  const namespaces = namespaceInfos(graph, inputs.namespaces);
  const nodes = nodeInfos(graph, inputs.nodes);
  const bindable = waypoints(graph, inputs, settings);
  const attached = attachments(graph, { l7: who.l7, requestAuthentications: inputs.requestAuthentications }, settings.rootNamespace);
  const services = kubeServices(graph, { services: inputs.services, namespaces, waypoints: bindable, attachments: attached }, settings);

  const selecting = selectingServices(graph, inputs.services, settings);
  const selectingByNamespace = lookup({ graph, name: "SelectingByNamespace", from: selecting, keysOf: (s) => [s.namespace], equal });
  const slices = { endpointSlices: inputs.endpointSlices, selecting };
  const targetsByPod = lookup({ graph, name: "TargetsByPod", from: sliceTargets(graph, slices, settings), keysOf: (t) => [t.pod], equal });
  const policies = podPolicyNames(who, settings.rootNamespace);
  const pods = { pods: inputs.pods, nodes, namespaces, waypoints: bindable, selectingByNamespace, targetsByPod, policies };
  const workloads = join({
    graph,
    name: "Workloads",
    from: [podWorkloads(graph, pods, settings), sliceWorkloads(graph, slices, settings)],
    equal,
  });

  const key = addressName;
  const serviceAddresses = derive<BoundService, Address>({ graph, name: "ServiceAddresses", from: services, key, equal }, (_, s) => [
    { kind: "service", service: s.service },
  ]);
  const workloadAddresses = derive<Workload, Address>({ graph, name: "WorkloadAddresses", from: workloads, key, equal }, (_, workload) => [
    { kind: "workload", workload },
  ]);
  const addresses = join({ graph, name: "Addresses", from: [serviceAddresses, workloadAddresses], equal });
  return { waypoints: bindable, services, workloads, addresses };
};
type Places = ReturnType<typeof places>;

/** What happens to requests at a waypoint: routes and policies of each service it owns. */
const requests = (
  graph: Graph,
  inputs: Inputs,
  given: { readonly settings: MeshSettings; readonly who: AccessRules; readonly where: Places },
) => {
  const { settings, who, where } = given;
  const policiesByTarget = lookup<L7Policy>({
    graph,
    name: "PoliciesByTarget",
    from: who.l7,
    keysOf: (p) => policyTargetKeys(p, settings.rootNamespace),
    equal,
  });
  const { compiled: routes, byPort } = httpRoutes(graph, inputs, settings);
  const waypointServices = join({
    graph,
    name: "WaypointResources",
    from: [
      ownedServices(graph, { services: where.services, policiesByTarget, routes: byPort }),
      gatewayServices(graph, { waypoints: where.waypoints, policiesByTarget }, settings),
    ],
    equal,
  });
  return { routes, waypointServices };
};
