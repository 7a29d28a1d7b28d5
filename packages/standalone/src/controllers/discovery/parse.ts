// Which resources does an API server serve that can be listed, watched and deleted?

import type { Resource } from "@ambit/shared/kube/resources.ts";

type ApiResource = {
  readonly name?: string;
  readonly kind?: string;
  readonly namespaced?: boolean;
  readonly verbs?: readonly string[];
  readonly group?: string;
  readonly version?: string;
};
export type ApiResourceList = { readonly groupVersion?: string; readonly resources?: readonly ApiResource[] };
export type ApiGroupList = {
  readonly groups?: readonly {
    readonly name?: string;
    readonly versions?: readonly { readonly groupVersion?: string }[];
    readonly preferredVersion?: { readonly groupVersion?: string };
  }[];
};

/** One version per group: the preferred one first, others for resources that only they have. */
export const groupVersionsOf = (groups: ApiGroupList): string[] =>
  (groups.groups ?? []).flatMap((g) => {
    const versions = (g.versions ?? []).flatMap((v) => v.groupVersion ?? []);
    const preferred = g.preferredVersion?.groupVersion;
    return preferred === undefined ? versions : [preferred, ...versions.filter((v) => v !== preferred)];
  });

/** Another view of the same objects, or objects nobody owns and nobody misses. */
const SKIPPED = new Set(["events.k8s.io/events"]);

export const resourcesOf = (lists: readonly ApiResourceList[]): Resource[] => {
  const found = new Map<string, Resource>();
  for (const l of lists) {
    const [group, version] = (l.groupVersion ?? "").includes("/") ? (l.groupVersion ?? "").split("/") : ["", l.groupVersion ?? ""];
    for (const r of l.resources ?? []) {
      if (r.name === undefined || r.kind === undefined || r.name.includes("/") || group === undefined || version === undefined) continue;
      const key = `${group}/${r.name}`;
      if (found.has(key) || SKIPPED.has(key) || !["list", "watch", "delete"].every((v) => r.verbs?.includes(v))) continue;
      found.set(key, { group, version, resource: r.name, kind: r.kind, namespaced: r.namespaced === true });
    }
  }
  return [...found.values()];
};
