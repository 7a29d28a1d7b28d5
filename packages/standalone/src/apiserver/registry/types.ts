// What does the server know about one resource of one API version?

import type { Cause } from "../model/errors.ts";
import type { KubeObject } from "../model/object.ts";
import type { PrinterColumn } from "../schema/crd.ts";
import type { JsonSchema } from "../schema/types.ts";

export type Verb = "get" | "list" | "watch" | "create" | "update" | "patch" | "delete" | "deletecollection";

export const ALL_VERBS: readonly Verb[] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/** Where a scale subresource finds its numbers; paths are field names from the object's root. */
export type ScalePaths = { readonly spec: readonly string[]; readonly status: readonly string[]; readonly selector?: readonly string[] };

/** What a write may look at and draw on; the store as of now, including writes about to be durable. */
export type WriteEnv = {
  readonly now: string;
  /** RFC 3339 time that many seconds from now. */
  after(seconds: number): string;
  newUid(): string;
  random(): number;
  readonly view: ObjectView;
};

/** Read access by bucket ("<group>/<resource>") and key ("<namespace>/<name>" or "<name>"). */
export type ObjectView = {
  get(bucket: string, key: string): KubeObject | undefined;
  /** All objects of a bucket, optionally of one namespace, in key order. */
  list(bucket: string, namespace?: string): readonly KubeObject[];
};

/**
 * The rules of one kind beyond its schema. All act on a draft that is the request's own copy and may be edited;
 * the old object may not. Throwing ApiError refuses the write; causes become one 422.
 */
export type Strategy = {
  /** Defaults that hold for every write (as Kubernetes' defaulting does on decoding). */
  readonly defaults?: (draft: KubeObject) => void;
  /** Once, at create: allocation, injection, resetting what a client may not set. */
  readonly onCreate?: (draft: KubeObject, env: WriteEnv) => void;
  /** At update of the main resource: keep what a client may not change. */
  readonly onUpdate?: (draft: KubeObject, old: KubeObject, env: WriteEnv) => void;
  readonly validate?: (object: KubeObject) => readonly Cause[];
  readonly validateUpdate?: (object: KubeObject, old: KubeObject) => readonly Cause[];
  /** Seconds of grace a deletion gets when the client names none (pods); undefined deletes at once. */
  readonly grace?: (object: KubeObject, asked: number | undefined) => number;
  /** Field selector keys beyond metadata.name and metadata.namespace. */
  readonly fields?: (object: KubeObject) => { readonly [key: string]: string };
  /** Fields named here may be selected on. */
  readonly fieldNames?: readonly string[];
};

export type NameRule = "subdomain" | "label" | "label1035" | "path";

export type ApiResource = {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly singular: string;
  readonly kind: string;
  readonly listKind: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly verbs: readonly Verb[];
  readonly status: boolean;
  readonly scale?: ScalePaths;
  /** Further subresources (log, exec, token, …) with their kind, for discovery. */
  readonly subresources: readonly Subresource[];
  /** metadata.generation counts changes outside metadata and status. */
  readonly generation: boolean;
  readonly nameRule: NameRule;
  readonly strategy: Strategy;
  /** Objects are stored once per bucket, whichever version wrote them. */
  readonly bucket: string;
  readonly convert?: { toStored(o: KubeObject): KubeObject; fromStored(o: KubeObject): KubeObject };
  /** Kept for its clients, but nothing in this cluster acts on it: writers are warned. */
  readonly storedOnly?: true;
  /** Set for resources that a CustomResourceDefinition made. */
  readonly custom?: CustomPart;
};

export type Subresource = {
  readonly name: string;
  readonly group?: string;
  readonly version?: string;
  readonly kind: string;
  readonly verbs: readonly string[];
};

export type CustomPart = {
  /** The CRD's name. */
  readonly definition: string;
  readonly schema: JsonSchema | undefined;
  readonly columns: readonly PrinterColumn[];
  /** Warned of at every request for this version. */
  readonly deprecated: string | undefined;
};

/** Review-like resources: created, answered, never stored. */
export type VirtualResource = Pick<ApiResource, "group" | "version" | "resource" | "singular" | "kind" | "namespaced">;
