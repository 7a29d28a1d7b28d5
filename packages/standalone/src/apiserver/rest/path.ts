// What does a request's method and URL path ask for? (k8s.io/apiserver/pkg/endpoints/request/requestinfo.go)

export type ResourcePath = {
  readonly kind: "resource";
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
  /** What follows the subresource (proxy paths). */
  readonly rest: readonly string[];
};

export type RequestPath = ResourcePath | { readonly kind: "other"; readonly path: string };

/** "namespaces/<name>/<these>" are subresources of the namespace itself, not resources in it. */
const NAMESPACE_SUBRESOURCES: ReadonlySet<string> = new Set(["status", "finalize"]);

/** Splits a path; undefined when a segment is not valid percent-encoding. */
const segmentsOf = (path: string): string[] | undefined => {
  try {
    return path
      .split("/")
      .filter((s) => s !== "")
      .map(decodeURIComponent);
  } catch (e) {
    if (e instanceof URIError) return undefined;
    throw e;
  }
};

const resourcePath = (group: string, version: string, parts: readonly string[]): ResourcePath | undefined => {
  const base = { kind: "resource", group, version } as const;
  const [first, second, third] = parts;
  if (first === undefined) return undefined;
  if (first === "namespaces" && third !== undefined && second !== undefined && !(group === "" && NAMESPACE_SUBRESOURCES.has(third)))
    return { ...base, namespace: second, resource: third, name: parts[3], subresource: parts[4], rest: parts.slice(5) };
  return { ...base, namespace: undefined, resource: first, name: second, subresource: third, rest: parts.slice(3) };
};

/** /api/v1/… and /apis/<group>/<version>/… with at least a resource are resource paths; everything else is "other". */
export const parsePath = (path: string): RequestPath => {
  const parts = segmentsOf(path);
  const found =
    parts?.[0] === "api" && parts[1] !== undefined
      ? resourcePath("", parts[1], parts.slice(2))
      : parts?.[0] === "apis" && parts[1] !== undefined && parts[2] !== undefined
        ? resourcePath(parts[1], parts[2], parts.slice(3))
        : undefined;
  return found ?? { kind: "other", path };
};

export type RequestVerb = "get" | "list" | "watch" | "create" | "update" | "patch" | "delete" | "deletecollection";

/** The verb that authorization and the handlers know a request by; undefined for a method no resource answers. */
export const verbOf = (method: string, path: ResourcePath, watch: boolean): RequestVerb | undefined => {
  switch (method) {
    case "GET":
    case "HEAD":
      return path.name === undefined || (watch && path.subresource === undefined) ? (watch ? "watch" : "list") : "get";
    case "POST":
      return "create";
    case "PUT":
      return "update";
    case "PATCH":
      return "patch";
    case "DELETE":
      return path.name === undefined ? "deletecollection" : "delete";
    default:
      return undefined;
  }
};
