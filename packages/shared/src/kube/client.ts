// How do we read and write Kubernetes objects?

import { realWorld } from "../runtime/run.ts";
import type { World } from "../runtime/world.ts";
import { type KubeConfig as Config, type KubeConfigSource, readKubeConfig } from "./config.ts";
import { connectKube, type KubeConnection } from "./connect.ts";
import { isGone, isNotFound } from "./error.ts";
import type { KubeObject } from "./objects/meta.ts";
import { apiVersionOf, pathOf, type Resource, type ResourceKey } from "./resources.ts";

export type KubeConfig = Config;

export type ListOptions = {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
};
export type Listed<T> = { items: T[]; resourceVersion: string };
export type PatchRequest = {
  readonly type: "merge" | "json" | "strategic" | "apply";
  readonly body: unknown;
  /** Required by the server for "apply". */
  readonly fieldManager?: string;
  /** "apply" only: take fields from other managers. */
  readonly force?: boolean;
  readonly subresource?: string;
};
export type DeleteOptions = {
  readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
  readonly gracePeriodSeconds?: number;
  /** Preconditions: 409 when the object is another by now. */
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
};

/** Every method throws KubeError for a refusal and Error when the server cannot be reached. */
export type KubeClient = {
  /** Undefined when there is no such object (404). */
  get<T extends KubeObject>(r: Resource, key: ResourceKey, signal?: AbortSignal): Promise<T | undefined>;
  /** All pages. Items carry apiVersion and kind even where the server leaves them out. */
  list<T extends KubeObject>(r: Resource, opts?: ListOptions, signal?: AbortSignal): Promise<Listed<T>>;
  /** With `subresource` and `parent`, POSTs to parent's subresource (eviction, binding, token). */
  create<T extends KubeObject>(r: Resource, object: T, opts?: { subresource?: string; parent?: string }): Promise<T>;
  /** PUT; 409 when metadata.resourceVersion is set and stale. */
  update<T extends KubeObject>(r: Resource, object: T, opts?: { subresource?: string }): Promise<T>;
  patch<T extends KubeObject>(r: Resource, key: ResourceKey, patch: PatchRequest): Promise<T>;
  /** 404 is fine: it is gone. */
  delete(r: Resource, key: ResourceKey, opts?: DeleteOptions): Promise<void>;
  /** Closes all connections; requests under way fail. */
  close(): Promise<void>;
  /** What stands below: for requests without a method of their own. */
  readonly raw: { readonly config: KubeConfig; readonly connection: KubeConnection };
};

const PATCH_TYPES = {
  merge: "application/merge-patch+json",
  json: "application/json-patch+json",
  strategic: "application/strategic-merge-patch+json",
  apply: "application/apply-patch+yaml", // JSON is YAML
} as const satisfies Record<PatchRequest["type"], string>;

const PAGE = 500;
const MAX_EXPIRED = 3;

/** The kubeconfig file's current context, or the pod's own service account when no file is given. Throws one clear sentence. */
export const loadKubeConfig = (where: KubeConfigSource = {}): KubeConfig => readKubeConfig(where);

export const createKubeClient = (config: KubeConfig, world: World = realWorld()): KubeClient => {
  const connection = connectKube(config, world);
  const typed = <T extends KubeObject>(r: Resource, object: T): T => ({ ...object, apiVersion: apiVersionOf(r), kind: r.kind });
  return {
    get: async <T extends KubeObject>(r: Resource, key: ResourceKey, signal?: AbortSignal) => {
      try {
        return (await connection.request({ method: "GET", path: pathOf(r, key), signal })) as T;
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },
    list: async <T extends KubeObject>(r: Resource, opts: ListOptions = {}, signal?: AbortSignal) => {
      const listed = await listAll<T>(connection, { r, opts, signal });
      return { items: listed.items.map((o) => typed(r, o)), resourceVersion: listed.resourceVersion };
    },
    create: async <T extends KubeObject>(r: Resource, object: T, opts: { subresource?: string; parent?: string } = {}) => {
      const path = pathOf(r, { namespace: object.metadata.namespace, name: opts.parent, subresource: opts.subresource });
      return (await connection.request({ method: "POST", path, body: opts.subresource === undefined ? typed(r, object) : object })) as T;
    },
    update: async <T extends KubeObject>(r: Resource, object: T, opts: { subresource?: string } = {}) => {
      const { namespace, name } = object.metadata;
      const path = pathOf(r, { namespace, name, subresource: opts.subresource });
      return (await connection.request({ method: "PUT", path, body: typed(r, object) })) as T;
    },
    patch: async <T extends KubeObject>(r: Resource, key: ResourceKey, p: PatchRequest) =>
      (await connection.request({
        method: "PATCH",
        path: pathOf(r, { ...key, subresource: p.subresource }),
        query: { fieldManager: p.fieldManager, force: p.type === "apply" && p.force === true ? true : undefined },
        body: p.type === "apply" && typeof p.body === "object" ? { apiVersion: apiVersionOf(r), kind: r.kind, ...p.body } : p.body,
        contentType: PATCH_TYPES[p.type],
      })) as T,
    delete: async (r, key, opts = {}) => {
      const preconditions = {
        ...(opts.uid === undefined ? {} : { uid: opts.uid }),
        ...(opts.resourceVersion === undefined ? {} : { resourceVersion: opts.resourceVersion }),
      };
      const body = {
        apiVersion: "v1",
        kind: "DeleteOptions",
        ...(opts.propagationPolicy === undefined ? {} : { propagationPolicy: opts.propagationPolicy }),
        ...(opts.gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds: opts.gracePeriodSeconds }),
        ...(Object.keys(preconditions).length === 0 ? {} : { preconditions }),
      };
      try {
        await connection.request({ method: "DELETE", path: pathOf(r, key), body });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },
    close: () => connection.close(),
    raw: { config, connection },
  };
};

type Page<T> = {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly T[] | null;
};

/** A page token may expire (410) while we read: then the whole list is read again, for half of each of two lists is no list. */
const listAll = async <T>(
  connection: KubeConnection,
  req: { r: Resource; opts: ListOptions; signal: AbortSignal | undefined },
): Promise<Listed<T>> => {
  for (let expired = 0; ; expired++) {
    try {
      return await listPages<T>(connection, req);
    } catch (error) {
      if (!isGone(error) || expired >= MAX_EXPIRED) throw error;
    }
  }
};

const listPages = async <T>(
  connection: KubeConnection,
  { r, opts, signal }: { r: Resource; opts: ListOptions; signal: AbortSignal | undefined },
): Promise<Listed<T>> => {
  const path = pathOf(r, { namespace: opts.namespace });
  const items: T[] = [];
  let token: string | undefined;
  for (;;) {
    const query = { limit: PAGE, continue: token, labelSelector: opts.labelSelector, fieldSelector: opts.fieldSelector };
    const page = (await connection.request({ method: "GET", path, query, signal })) as Page<T>;
    items.push(...(page.items ?? []));
    const next = page.metadata?.continue;
    if (next === undefined || next === "") {
      const resourceVersion = page.metadata?.resourceVersion;
      if (resourceVersion === undefined || resourceVersion === "") throw new Error(`GET ${path}: a list without resourceVersion`);
      return { items, resourceVersion };
    }
    token = next;
  }
};
