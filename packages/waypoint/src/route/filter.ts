// What do a rule's filters make of a request? (Gateway API HTTPRouteFilter)

import { reservedEdit } from "@ambit/shared/route/reserved.ts";
import type { Filter, HeaderEdits, PathRewrite } from "@ambit/shared/route/types.ts";
import { editFields } from "../http/fields.ts";
import type { HeaderFields } from "../http/message.ts";
import { joinPath, type SplitPath } from "./path.ts";

export type EditedRequest = {
  readonly scheme: string;
  readonly authority: string;
  readonly path: SplitPath;
  readonly headers: HeaderFields;
};

export type MirrorOrder = Extract<Filter, { kind: "mirror" }>;

export type Filtered =
  | {
      readonly kind: "forward";
      readonly request: EditedRequest;
      readonly responseEdits: readonly HeaderEdits[];
      readonly mirrors: readonly MirrorOrder[];
    }
  | { readonly kind: "redirect"; readonly status: number; readonly location: string; readonly responseEdits: readonly HeaderEdits[] }
  | { readonly kind: "unsupported"; readonly reason: string };

/** Replaces the matched prefix by elements: no doubled or missing slash at the seam. */
const replacePrefix = (path: string, prefix: string, value: string): string => {
  const from = prefix.replace(/\/+$/, "");
  const rest = path.slice(from.length);
  const to = value.replace(/\/+$/, "");
  if (rest === "" && to === "") return "/";
  // "/foo" by "/xyz/" keeps the slash that was asked for.
  if (rest === "") return value === "" ? "/" : value;
  return `${to}${rest.startsWith("/") ? "" : "/"}${rest}`;
};

/** The path after a rewrite; the table is in the Gateway API's HTTPPathModifier. */
export const rewritePath = (path: string, rewrite: PathRewrite): string =>
  rewrite.type === "full" ? rewrite.value : replacePrefix(path, rewrite.prefix, rewrite.value);

const KNOWN_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 };

const hostOnly = (authority: string): string => authority.replace(/:\d*$/, "");

/** An explicit port wins; else that of a changed scheme; else the one the caller used. Well-known ports are left out. */
const redirectLocation = (f: Extract<Filter, { kind: "redirect" }>, r: EditedRequest, listenerPort: number): string => {
  const scheme = f.scheme ?? r.scheme;
  const host = f.hostname ?? hostOnly(r.authority);
  const port = f.port ?? (f.scheme === undefined ? listenerPort : (KNOWN_PORTS[f.scheme] ?? listenerPort));
  const path = f.path === undefined ? r.path : { path: rewritePath(r.path.path, f.path), query: r.path.query };
  return `${scheme}://${host}${KNOWN_PORTS[scheme] === port ? "" : `:${port}`}${joinPath(path)}`;
};

const rewrite = (f: Extract<Filter, { kind: "rewrite" }>, r: EditedRequest): EditedRequest => ({
  ...r,
  authority: f.hostname ?? r.authority,
  path: f.path === undefined ? r.path : { path: rewritePath(r.path.path, f.path), query: r.path.query },
});

/** The `host` header is the authority: setting it rewrites that, and it cannot be removed. */
const editRequest = (edits: HeaderEdits, r: EditedRequest): EditedRequest => {
  const host = [...edits.set, ...edits.add].findLast((e) => e.name.toLowerCase() === "host");
  const others: HeaderEdits = {
    set: edits.set.filter((e) => e.name.toLowerCase() !== "host"),
    add: edits.add.filter((e) => e.name.toLowerCase() !== "host"),
    remove: edits.remove,
  };
  return { ...r, authority: host?.value ?? r.authority, headers: editFields(r.headers, others) };
};

/** The controller refuses these too; here nothing is taken on trust, because a framing header would make one request two. */
const refusedEdit = (edits: HeaderEdits): Filtered | undefined => {
  const name = reservedEdit(edits);
  return name === undefined ? undefined : { kind: "unsupported", reason: `the header ${JSON.stringify(name)} may not be edited` };
};

/** Applies filters in their order; a redirect ends them. `listenerPort` is the service port that was addressed. */
export const applyFilters = (filters: readonly Filter[], request: EditedRequest, listenerPort: number): Filtered => {
  let r = request;
  const responseEdits: HeaderEdits[] = [];
  const mirrors: MirrorOrder[] = [];
  for (const f of filters) {
    const refused = f.kind === "request-headers" || f.kind === "response-headers" ? refusedEdit(f.edits) : undefined;
    if (refused !== undefined) return refused;
    switch (f.kind) {
      case "request-headers":
        r = editRequest(f.edits, r);
        break;
      case "response-headers":
        responseEdits.push(f.edits);
        break;
      case "rewrite":
        r = rewrite(f, r);
        break;
      case "mirror":
        mirrors.push(f);
        break;
      case "redirect":
        return { kind: "redirect", status: f.status, location: redirectLocation(f, r, listenerPort), responseEdits };
      case "unsupported":
        return f;
    }
  }
  return { kind: "forward", request: r, responseEdits, mirrors };
};
