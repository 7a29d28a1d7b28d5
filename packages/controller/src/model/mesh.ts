// How does the whole graph hang together, from Kubernetes objects to what proxies and status are told? (start reading here)

import { type Policy, policyKey } from "@ambit/shared/authz/types.ts";
import type { PeerAuthentication } from "@ambit/shared/kube/objects.ts";
import type { Workload } from "@ambit/shared/state/types.ts";
import { type Address, addressName } from "@ambit/shared/wire/types.ts";
import type { Collection, Graph } from "../collections/core.ts";
import { derive } from "../collections/derive.ts";
import { sameData } from "../collections/equal.ts";
import { join } from "../collections/join.ts";
import { lookup } from "../collections/lookup.ts";
import type { WantedStatus } from "../gateway/conditions.ts";
import { httpRoutes } from "../gateway/port-routes.ts";
import type { CompiledRoute } from "../gateway/routes.ts";
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
  /** By xDS resource name. */
  readonly addresses: Collection<Address>;
  /** What ztunnels enforce, by "ns/name". */
  readonly policies: Collection<Policy>;
  readonly l4Policies: Collection<L4Policy>;
  readonly l7Policies: Collection<L7Policy>;
  readonly routes: Collection<CompiledRoute>;
  /** What waypoints are told, by "ns/hostname". */
  readonly waypointServices: Collection<OwnedService>;
  readonly statuses: Collection<WantedStatus>;
};

const nameOf = (o: { readonly namespace: string; readonly name: string }): string => `${o.namespace}/${o.name}`;

export const buildMesh = (graph: Graph, inputs: Inputs, settings: MeshSettings): Mesh => {
  const namespaces = namespaceInfos(graph, inputs.namespaces);
  const nodes = nodeInfos(graph, inputs.nodes);
  const mesh = waypoints(graph, inputs, settings);

  // Who may talk to whom.
  const l4Policies = derive({ graph, name: "L4Policies", from: inputs.authorizationPolicies, key: nameOf, equal: sameData }, (_, ap) => {
    const policy = toL4Policy(ap, settings.rootNamespace);
    return policy === undefined ? [] : [policy];
  });
  const l7Policies = derive({ graph, name: "L7Policies", from: inputs.authorizationPolicies, key: nameOf, equal: sameData }, (_, ap) => {
    const policy = toL7Policy(ap);
    return policy === undefined ? [] : [policy];
  });
  const selecting = lookup<L4Policy>({
    graph,
    name: "SelectingPolicies",
    from: l4Policies,
    keysOf: (p) => (p.selector !== undefined && p.policy !== undefined ? [p.namespace] : []),
    equal: sameData,
  });
  const peerAuths = derive<PeerAuthentication, PeerAuth>(
    { graph, name: "PeerAuths", from: inputs.peerAuthentications, key: nameOf, equal: sameData },
    (_, pa) => [toPeerAuth(pa)],
  );
  const peerAuthsByNamespace = lookup({
    graph,
    name: "PeerAuthsByNamespace",
    from: peerAuths,
    keysOf: (p) => [p.namespace],
    equal: sameData,
  });
  const converted = derive(
    { graph, name: "ConvertedPolicies", from: peerAuthsByNamespace, reads: [peerAuthsByNamespace], key: policyKey, equal: sameData },
    (get, own) => [
      staticStrictPolicy(settings.rootNamespace),
      ...convertedPolicies({ own, root: get.one(peerAuthsByNamespace, settings.rootNamespace) ?? [] }, settings.rootNamespace),
    ],
  );
  const attached = derive({ graph, name: "AttachedPolicies", from: l4Policies, key: policyKey, equal: sameData }, (_, p) =>
    p.policy === undefined ? [] : [p.policy],
  );
  const policies = join({ graph, name: "Policies", from: [converted, attached], equal: sameData });

  // Who is where.
  const services = kubeServices(graph, { services: inputs.services, namespaces, waypoints: mesh }, settings);
  const selectors = selectingServices(graph, inputs.services, settings);
  const selectingByNamespace = lookup({
    graph,
    name: "SelectingByNamespace",
    from: selectors,
    keysOf: (s) => [s.namespace],
    equal: sameData,
  });
  const targets = sliceTargets(graph, { endpointSlices: inputs.endpointSlices, selecting: selectors }, settings);
  const targetsByPod = lookup({ graph, name: "TargetsByPod", from: targets, keysOf: (t) => [t.pod], equal: sameData });
  const workloads = join({
    graph,
    name: "Workloads",
    from: [
      podWorkloads(
        graph,
        {
          pods: inputs.pods,
          nodes,
          namespaces,
          waypoints: mesh,
          selectingByNamespace,
          targetsByPod,
          policies: podPolicyNames({ selecting, peerAuthsByNamespace }, settings.rootNamespace),
        },
        settings,
      ),
      sliceWorkloads(graph, { endpointSlices: inputs.endpointSlices, selecting: selectors }, settings),
    ],
    equal: sameData,
  });

  const addresses = join<Address>({
    graph,
    name: "Addresses",
    from: [
      derive<BoundService, Address>({ graph, name: "ServiceAddresses", from: services, key: addressName, equal: sameData }, (_, s) => [
        { kind: "service", service: s.service },
      ]),
      derive<Workload, Address>({ graph, name: "WorkloadAddresses", from: workloads, key: addressName, equal: sameData }, (_, workload) => [
        { kind: "workload", workload },
      ]),
    ],
    equal: sameData,
  });

  // What happens to requests at a waypoint.
  const policiesByTarget = lookup<L7Policy>({
    graph,
    name: "PoliciesByTarget",
    from: l7Policies,
    keysOf: (p) => policyTargetKeys(p, settings.rootNamespace),
    equal: sameData,
  });
  const { compiled: routes, byPort } = httpRoutes(graph, inputs, settings);
  const waypointServices = join({
    graph,
    name: "WaypointResources",
    from: [
      ownedServices(graph, { services, policiesByTarget, routes: byPort }),
      gatewayServices(graph, { waypoints: mesh, policiesByTarget }, settings),
    ],
    equal: sameData,
  });

  // What people are told.
  const statuses = wantedStatuses(graph, { inputs, services, waypoints: mesh, routes }, settings);
  return { waypoints: mesh, services, workloads, addresses, policies, l4Policies, l7Policies, routes, waypointServices, statuses };
};
