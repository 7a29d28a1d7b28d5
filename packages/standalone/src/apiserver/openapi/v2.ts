// What does the server say about its resources in OpenAPI v2 (kubectl before 1.27 validates and merges by it)?

import type { JsonObject } from "../schema/types.ts";
import type { ServedResource } from "./v3.ts";

/** `GET /openapi/v2` as JSON. */
export const openApiV2Json = (_resources: readonly ServedResource[]): JsonObject => ({ swagger: "2.0" });
/** The same as gnostic's protobuf: `application/com.github.proto-openapi.spec.v2@v1.0+protobuf`. */
export const openApiV2Protobuf = (_resources: readonly ServedResource[]): Uint8Array => new Uint8Array();
