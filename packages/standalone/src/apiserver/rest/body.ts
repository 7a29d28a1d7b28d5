// What document does a request's body hold?

import { parse as parseYaml } from "yaml";
import { ApiError, badRequest } from "../model/errors.ts";
import { decodeObject, PROTOBUF_TYPE } from "../protobuf/decode.ts";
import { ProtobufError } from "../protobuf/reader.ts";

const JSON_TYPES: ReadonlySet<string> = new Set([
  "application/json",
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
]);
const YAML_TYPES: ReadonlySet<string> = new Set(["application/yaml", "application/apply-patch+yaml"]);

/** The media type without parameters, in lower case; JSON when the client names none. */
export const mediaType = (contentType: string | undefined): string => {
  const type = (contentType ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  return type === "" ? "application/json" : type;
};

const unreadable = (e: unknown): ApiError =>
  new ApiError(
    400,
    "BadRequest",
    `the object provided is unrecognized (must be of type json or yaml): ${e instanceof Error ? e.message.split("\n")[0] : String(e)}`,
    undefined,
    {
      cause: e,
    },
  );

const parseProtobuf = (bytes: Uint8Array): unknown => {
  if (bytes.length === 0) return undefined;
  try {
    return decodeObject(bytes);
  } catch (e) {
    if (e instanceof ProtobufError) throw unreadable(e);
    throw e;
  }
};

/** Parses JSON, YAML (of which JSON is a part) or Kubernetes' protobuf. Throws 400 for bytes that are not that and 415 for other media types. */
export const parseBody = (bytes: Uint8Array, contentType: string | undefined): unknown => {
  const media = mediaType(contentType);
  if (media === PROTOBUF_TYPE) return parseProtobuf(bytes);
  if (!JSON_TYPES.has(media) && !YAML_TYPES.has(media))
    throw new ApiError(
      415,
      "UnsupportedMediaType",
      `the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf`,
      {},
    );
  const text = new TextDecoder().decode(bytes);
  if (text.trim() === "") return undefined;
  try {
    return JSON.parse(text);
  } catch (e) {
    if (!YAML_TYPES.has(media)) throw unreadable(e);
  }
  try {
    return parseYaml(text, { maxAliasCount: 100 });
  } catch (e) {
    throw unreadable(e);
  }
};

/** As parseBody, but an empty body is refused. */
export const requireBody = (bytes: Uint8Array, contentType: string | undefined): unknown => {
  const v = parseBody(bytes, contentType);
  if (v === undefined) throw badRequest("the request has no body");
  return v;
};
