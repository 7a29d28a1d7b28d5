// What does the server say about its resources in OpenAPI v3?

import type { JsonObject, JsonSchema } from "../schema/types.ts";

/** One served resource of a group-version, as discovery lists it. */
export type ServedResource = {
  readonly group: string;
  readonly version: string;
  /** Plural name. */
  readonly resource: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly subresources: readonly string[];
  readonly verbs: readonly string[];
  /** Only for CRDs; built-in kinds are found by their GVK. */
  readonly schema?: JsonSchema | undefined;
};

/** `GET /openapi/v3`: `{ paths: { "apis/apps/v1": { serverRelativeURL } } }` with a hash of each document. */
export const openApiV3Index = (_resources: readonly ServedResource[]): JsonObject => ({ paths: {} });
/** `GET /openapi/v3/apis/apps/v1`: the document of one group-version ("api/v1" for the core group), or undefined when nothing is served there. */
export const openApiV3Document = (_resources: readonly ServedResource[], _path: string): JsonObject | undefined => undefined;
