// Which resource answers for a group, version and plural name right now?

import { apiVersionOf } from "../model/object.ts";
import { BUILTIN, VIRTUAL } from "./builtin.ts";
import type { ApiResource, VirtualResource } from "./types.ts";

export type Registry = {
  find(group: string, version: string, resource: string): ApiResource | undefined;
  virtual(group: string, version: string, resource: string): VirtualResource | undefined;
  /** Any version of the bucket: for reading stored objects. */
  byBucket(bucket: string): ApiResource | undefined;
  byKind(group: string, kind: string): ApiResource | undefined;
  all(): readonly ApiResource[];
  /** Replaces what a CRD serves; an empty list removes it. */
  define(definition: string, resources: readonly ApiResource[]): void;
  /** Aborts when the resource is no longer served as it is: its watches end then, and clients ask anew. */
  lifetime(resource: ApiResource): AbortSignal;
  /** Counts changes, so that documents made from the registry know when they are old. */
  revision(): number;
};

/** Versions in the order clients prefer: v2 before v1 before v1beta1 before v1alpha1 (apimachinery's version.CompareKubeAwareVersionStrings). */
export const compareVersions = (a: string, b: string): number => {
  const parts = (v: string) => /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(v);
  const [x, y] = [parts(a), parts(b)];
  if (x === null || y === null) return x === y ? (a < b ? -1 : 1) : x === null ? 1 : -1;
  const stage = (m: RegExpExecArray) => (m[2] === undefined ? 2 : m[2] === "beta" ? 1 : 0);
  return stage(y) - stage(x) || Number(y[1]) - Number(x[1]) || Number(y[3] ?? 0) - Number(x[3] ?? 0);
};

export const createRegistry = (): Registry => {
  const keyOf = (group: string, version: string, resource: string) => `${apiVersionOf(group, version)}/${resource}`;
  const builtin = new Map(BUILTIN.map((r) => [keyOf(r.group, r.version, r.resource), r]));
  const virtual = new Map(VIRTUAL.map((r) => [keyOf(r.group, r.version, r.resource), r]));
  const custom = new Map<string, readonly ApiResource[]>();
  const lifetimes = new WeakMap<ApiResource, AbortController>();
  const lifetimeOf = (r: ApiResource): AbortController => {
    const made = lifetimes.get(r) ?? new AbortController();
    lifetimes.set(r, made);
    return made;
  };
  let byKey = new Map(builtin);
  let revision = 1;
  return {
    find: (group, version, resource) => byKey.get(keyOf(group, version, resource)),
    virtual: (group, version, resource) => virtual.get(keyOf(group, version, resource)),
    byBucket: (bucket) => byKey.values().find((r) => r.bucket === bucket),
    byKind: (group, kind) => byKey.values().find((r) => r.group === group && r.kind === kind),
    all: () => [...byKey.values()],
    lifetime: (resource) => lifetimeOf(resource).signal,
    define: (definition, resources) => {
      for (const old of custom.get(definition) ?? []) lifetimeOf(old).abort();
      if (resources.length === 0) custom.delete(definition);
      else custom.set(definition, resources);
      byKey = new Map([...builtin, ...[...custom.values()].flat().map((r) => [keyOf(r.group, r.version, r.resource), r] as const)]);
      revision++;
    },
    revision: () => revision,
  };
};
