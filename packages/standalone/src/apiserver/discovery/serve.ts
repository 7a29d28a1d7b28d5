// How are requests answered that name no resource: discovery, OpenAPI, health, version?

import { createHash } from "node:crypto";
import { authorize, refusalText } from "../auth/rbac.ts";
import { ISSUER, jwks } from "../jwt/token.ts";
import { ApiError, noSuchResource } from "../model/errors.ts";
import { openApiV2Json, openApiV2Protobuf } from "../openapi/v2.ts";
import { openApiV3Document, openApiV3Index, type ServedResource } from "../openapi/v3.ts";
import { VIRTUAL } from "../registry/builtin.ts";
import type { Api, Exchange } from "../rest/api.ts";
import { aggregated, apiGroup, apiGroupList, apiResourceList, apiVersions, type Served, subresourcesOf } from "./documents.ts";
import { BUILD } from "./version.ts";

const TEXT = "text/plain; charset=utf-8";

const ROOT_PATHS = [
  "/api",
  "/apis",
  "/healthz",
  "/livez",
  "/metrics",
  "/openapi/v2",
  "/openapi/v3",
  "/openid/v1/jwks",
  "/readyz",
  "/version",
];

const OPENID = {
  issuer: ISSUER,
  jwks_uri: `${ISSUER}/openid/v1/jwks`,
  response_types_supported: ["id_token"],
  subject_types_supported: ["public"],
  id_token_signing_alg_values_supported: ["ES256"],
};

/** Documents made from the registry, kept until it changes. */
const cached = (revision: () => number): ((key: string, make: () => string | Uint8Array | undefined) => Entry | undefined) => {
  let seen = -1;
  let entries = new Map<string, Entry>();
  return (key, make) => {
    if (seen !== revision()) {
      entries = new Map();
      seen = revision();
    }
    const have = entries.get(key);
    if (have !== undefined) return have;
    const body = make();
    if (body === undefined) return undefined;
    const entry = { body, etag: `"${createHash("sha256").update(body).digest("hex").toUpperCase()}"` };
    entries.set(key, entry);
    return entry;
  };
};

type Entry = { readonly body: string | Uint8Array; readonly etag: string };

const sendEntry = (x: Exchange, entry: Entry, type: string): void => {
  const headers = { "content-type": type, etag: entry.etag, vary: "Accept", "cache-control": "no-cache, private" };
  if (x.header("if-none-match") === entry.etag) x.send(304, "", headers);
  else if (typeof entry.body === "string") x.send(200, entry.body, headers);
  else x.sendBytes(200, entry.body, headers);
};

const aggregatedVersion = (accept: string | undefined): "v2" | "v2beta1" | undefined => {
  for (const type of (accept ?? "").split(",")) {
    if (!type.includes("as=APIGroupDiscoveryList") || !type.includes("g=apidiscovery.k8s.io")) continue;
    if (type.includes("v=v2beta1")) return "v2beta1";
    if (type.includes("v=v2")) return "v2";
  }
  return undefined;
};

const PROTOBUF_V2 = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/** GET of a path that names no resource. Throws 403, or 404 for an unknown path. */
export const createNonResourceHandler = (api: Api): ((x: Exchange) => void) => {
  const { registry, store } = api;
  const documents = cached(registry.revision);
  const served = (): Served => ({ resources: registry.all(), virtual: VIRTUAL });
  const openApiResources = (): ServedResource[] => [
    ...registry.all().map((r) => ({
      group: r.group,
      version: r.version,
      resource: r.resource,
      kind: r.kind,
      namespaced: r.namespaced,
      subresources: subresourcesOf(r).map((s) => s.name),
      verbs: r.verbs,
      ...(r.custom === undefined ? {} : { schema: r.custom.schema }),
    })),
  ];
  const json = (key: string, make: () => unknown): Entry | undefined =>
    documents(key, () => {
      const v = make();
      return v === undefined ? undefined : JSON.stringify(v);
    });

  const discovery = (x: Exchange, path: string): void => {
    const version = aggregatedVersion(x.header("accept"));
    if (version !== undefined && (path === "/api" || path === "/apis")) {
      const entry = json(`${path} ${version}`, () => aggregated(served(), path === "/api" ? "api" : "apis", version));
      if (entry !== undefined) {
        sendEntry(x, entry, `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`);
        return;
      }
    }
    const [, root = "", group = "", v = "", ...more] = path.split("/");
    const entry = json(path, () => {
      if (root === "api")
        return group === "" ? apiVersions(x.header("host") ?? "") : v === "" ? apiResourceList(served(), "", group) : undefined;
      if (group === "") return apiGroupList(served());
      if (more.length > 0) return undefined;
      return v === "" ? apiGroup(served(), group) : apiResourceList(served(), group, v);
    });
    if (entry === undefined) throw noSuchResource();
    sendEntry(x, entry, "application/json");
  };

  const openApi = (x: Exchange, path: string): void => {
    if (path === "/openapi/v2") {
      const wantsProtobuf = (x.header("accept") ?? "").includes("application/com.github.proto-openapi.spec.v2");
      const entry = wantsProtobuf
        ? documents("v2 protobuf", () => openApiV2Protobuf(openApiResources()))
        : json("v2 json", () => openApiV2Json(openApiResources()));
      if (entry !== undefined) {
        sendEntry(x, entry, wantsProtobuf ? PROTOBUF_V2 : "application/json");
        return;
      }
    }
    const entry =
      path === "/openapi/v3"
        ? json("v3", () => openApiV3Index(openApiResources()))
        : path.startsWith("/openapi/v3/")
          ? json(path, () => openApiV3Document(openApiResources(), path.slice("/openapi/v3/".length)))
          : undefined;
    if (entry === undefined) throw noSuchResource();
    sendEntry(x, entry, "application/json");
  };

  const metrics = (): string =>
    [
      "# HELP apiserver_storage_objects Objects in the store by resource.",
      "# TYPE apiserver_storage_objects gauge",
      ...[...store.sizes()].map(([bucket, n]) => `apiserver_storage_objects{resource="${bucket.replace(/^\//, "")}"} ${n}`),
      "# HELP apiserver_storage_resource_version The newest durable resourceVersion.",
      "# TYPE apiserver_storage_resource_version gauge",
      `apiserver_storage_resource_version ${store.revision()}`,
      "",
    ].join("\n");

  const plain: { readonly [path: string]: () => { type: string; text: string } } = {
    "/": () => ({ type: "application/json", text: JSON.stringify({ paths: ROOT_PATHS }) }),
    "/healthz": () => ({ type: TEXT, text: "ok" }),
    "/livez": () => ({ type: TEXT, text: "ok" }),
    "/readyz": () => ({ type: TEXT, text: "ok" }),
    "/version": () => ({ type: "application/json", text: JSON.stringify(BUILD) }),
    "/metrics": () => ({ type: "text/plain; version=0.0.4; charset=utf-8", text: metrics() }),
    "/openid/v1/jwks": () => ({ type: "application/jwk-set+json", text: JSON.stringify(jwks(api.tokenKey)) }),
    "/.well-known/openid-configuration": () => ({ type: "application/json", text: JSON.stringify(OPENID) }),
  };

  return (x) => {
    const path = x.url.pathname.length > 1 ? x.url.pathname.replace(/\/+$/, "") : x.url.pathname;
    const verb = x.method.toLowerCase();
    const attributes = { kind: "path", verb: verb === "head" ? "get" : verb, path } as const;
    if (!authorize(x.user, attributes, store.committed).allowed)
      throw new ApiError(403, "Forbidden", `forbidden: ${refusalText(x.user, attributes)}`, {});
    if (x.method !== "GET" && x.method !== "HEAD") throw new ApiError(405, "MethodNotAllowed", "only GET is served here", {});
    const document = Object.hasOwn(plain, path) ? plain[path]?.() : undefined;
    if (document !== undefined) x.send(200, document.text, { "content-type": document.type });
    else if (/^\/apis?(\/|$)/.test(path)) discovery(x, path);
    else openApi(x, path);
  };
};
