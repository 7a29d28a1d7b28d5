// What will a write store and what will it answer?

import type { KubeObject } from "../model/object.ts";
import type { ApiResource } from "../registry/types.ts";

/** One change of the store: an object put, or with undefined removed. */
export type Write = { readonly bucket: string; readonly key: string; readonly object: KubeObject | undefined };

export type Planned = {
  /** As stored; the answer shows it in the request's version. */
  readonly object: KubeObject;
  readonly write: Write | undefined;
  readonly code: 200 | 201;
  readonly warnings: readonly string[];
  /** The object is gone once the write is made. */
  readonly removed?: true;
};

/** One request's target. */
export type Target = {
  readonly resource: ApiResource;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly subresource?: string | undefined;
};

export const keyFor = (t: Pick<Target, "namespace" | "name" | "resource">): string =>
  t.resource.namespaced ? `${t.namespace ?? ""}/${t.name}` : t.name;

export const toStored = (r: ApiResource, o: KubeObject): KubeObject => r.convert?.toStored(o) ?? o;

export const fromStored = (r: ApiResource, o: KubeObject): KubeObject => r.convert?.fromStored(o) ?? o;

const ALWAYS: ReadonlySet<string> = new Set(["apiVersion", "kind", "metadata"]);

/** Top-level fields that a request cannot change, and so can neither own nor conflict over: status, or all but status. */
export const untouched = (r: ApiResource, subresource: string | undefined, objects: readonly object[]): string[] => {
  if (subresource !== "status") return r.status ? ["status"] : [];
  return [...new Set(objects.flatMap(Object.keys))].filter((f) => !ALWAYS.has(f) && f !== "status");
};
