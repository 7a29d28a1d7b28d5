// What does discovery say is served? (both the per-group documents and the aggregated one)

import { apiVersionOf, type JsonObject } from "../model/object.ts";
import { compareVersions } from "../registry/registry.ts";
import { ALL_VERBS, type ApiResource, type Subresource, type VirtualResource } from "../registry/types.ts";

export type Served = { readonly resources: readonly ApiResource[]; readonly virtual: readonly VirtualResource[] };

const SUB_VERBS = ["get", "patch", "update"];

/** All subresources a resource has, status and scale included. */
export const subresourcesOf = (r: ApiResource): readonly Subresource[] => [
  ...(r.status ? [{ name: "status", kind: r.kind, verbs: SUB_VERBS }] : []),
  ...(r.scale === undefined ? [] : [{ name: "scale", group: "autoscaling", version: "v1", kind: "Scale", verbs: SUB_VERBS }]),
  ...r.subresources,
];

const isFull = (r: ApiResource | VirtualResource): r is ApiResource => "bucket" in r;

type Entry = ApiResource | VirtualResource;

const entries = ({ resources, virtual }: Served): Entry[] => [...resources, ...virtual];

const versionsOf = (all: readonly Entry[]): string[] => [...new Set(all.map((r) => r.version))].sort(compareVersions);

const groupVersions = (group: string, all: readonly Entry[]): { groupVersion: string; version: string }[] =>
  versionsOf(all).map((version) => ({ groupVersion: apiVersionOf(group, version), version }));

const named = (served: Served): [string, Entry[]][] =>
  [...Map.groupBy(entries(served), (r) => r.group)].filter(([g]) => g !== "").sort(([a], [b]) => (a < b ? -1 : 1));

/** GET /apis/<group>; undefined when nothing of the group is served. */
export const apiGroup = (served: Served, group: string): JsonObject | undefined => {
  const found = named(served).find(([g]) => g === group);
  if (found === undefined) return undefined;
  const versions = groupVersions(group, found[1]);
  return { kind: "APIGroup", apiVersion: "v1", name: group, versions, preferredVersion: versions[0] };
};

/** GET /apis */
export const apiGroupList = (served: Served): JsonObject => ({
  kind: "APIGroupList",
  apiVersion: "v1",
  groups: named(served).map(([group, all]) => {
    const versions = groupVersions(group, all);
    return { name: group, versions, preferredVersion: versions[0] };
  }),
});

/** GET /api */
export const apiVersions = (address: string): JsonObject => ({
  kind: "APIVersions",
  versions: ["v1"],
  serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: address }],
});

const resourceRows = (r: Entry): JsonObject[] => {
  const base = { name: r.resource, singularName: r.singular, namespaced: r.namespaced, kind: r.kind };
  if (!isFull(r)) return [{ ...base, verbs: ["create"] }];
  return [
    {
      ...base,
      verbs: r.verbs,
      ...(r.shortNames.length === 0 ? {} : { shortNames: r.shortNames }),
      ...(r.categories.length === 0 ? {} : { categories: r.categories }),
    },
    ...subresourcesOf(r).map((s) => ({
      name: `${r.resource}/${s.name}`,
      singularName: "",
      namespaced: r.namespaced,
      ...(s.group === undefined ? {} : { group: s.group }),
      ...(s.version === undefined ? {} : { version: s.version }),
      kind: s.kind,
      verbs: s.verbs,
    })),
  ];
};

/** GET /api/v1 and /apis/<group>/<version>; undefined when nothing of it is served. */
export const apiResourceList = (served: Served, group: string, version: string): JsonObject | undefined => {
  const found = entries(served).filter((r) => r.group === group && r.version === version);
  if (found.length === 0) return undefined;
  return { kind: "APIResourceList", apiVersion: "v1", groupVersion: apiVersionOf(group, version), resources: found.flatMap(resourceRows) };
};

const aggregatedResource = (r: Entry): JsonObject => ({
  resource: r.resource,
  responseKind: { group: r.group, version: r.version, kind: r.kind },
  scope: r.namespaced ? "Namespaced" : "Cluster",
  singularResource: r.singular,
  verbs: isFull(r) ? ALL_VERBS : ["create"],
  ...(isFull(r) && r.shortNames.length > 0 ? { shortNames: r.shortNames } : {}),
  ...(isFull(r) && r.categories.length > 0 ? { categories: r.categories } : {}),
  ...(isFull(r) && subresourcesOf(r).length > 0
    ? {
        subresources: subresourcesOf(r).map((s) => ({
          subresource: s.name,
          responseKind: { group: s.group ?? r.group, version: s.version ?? r.version, kind: s.kind },
          verbs: s.verbs,
        })),
      }
    : {}),
});

const aggregatedGroup = (group: string, all: readonly Entry[]): JsonObject => ({
  metadata: { ...(group === "" ? {} : { name: group }), creationTimestamp: null },
  versions: versionsOf(all).map((version) => ({
    version,
    resources: all.filter((r) => r.version === version).map(aggregatedResource),
    freshness: "Current",
  })),
});

/** GET /api or /apis as APIGroupDiscoveryList (apidiscovery.k8s.io/v2, or v2beta1 of the same form). */
export const aggregated = (served: Served, root: "api" | "apis", version: "v2" | "v2beta1"): JsonObject => ({
  kind: "APIGroupDiscoveryList",
  apiVersion: `apidiscovery.k8s.io/${version}`,
  metadata: {},
  items:
    root === "api"
      ? [
          aggregatedGroup(
            "",
            entries(served).filter((r) => r.group === ""),
          ),
        ]
      : named(served).map(([group, all]) => aggregatedGroup(group, all)),
});
