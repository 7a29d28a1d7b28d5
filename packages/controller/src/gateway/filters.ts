// What do an HTTPRoute's filters become? One that cannot be honoured fails the request, it is never skipped.

import type { HeaderFilter, HttpRouteFilter, PathModifier } from "@ambit/shared/kube/objects/gateway.ts";
import { isReserved } from "@ambit/shared/route/reserved.ts";
import type { BackendTarget, Filter, HeaderEdits, NameValue, PathRewrite } from "@ambit/shared/route/types.ts";
import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";

export type FilterContext = {
  /** The prefix of the match the filter runs under; undefined when the match is no prefix. */
  readonly prefix: string | undefined;
  readonly backend: (ref: NonNullable<HttpRouteFilter["requestMirror"]>["backendRef"]) => BackendTarget;
};

const unsupported = (reason: string): Filter => ({ kind: "unsupported", reason });

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Why no route may edit the header, or undefined. A framing header that a route sets would make one request two to a backend. */
const refusedName = (name: string): string | undefined => {
  if (!TOKEN.test(name)) return `header ${JSON.stringify(name)} has characters that no header may have`;
  return isReserved(name) ? `header ${JSON.stringify(name)} belongs to the connection and the proxy: no route may edit it` : undefined;
};

/** Names in lower case; of several edits of a name in one list the first stands. Line breaks would forge headers. */
const headerEdits = (f: HeaderFilter | undefined): Result<HeaderEdits> => {
  const seen = { set: new Set<string>(), add: new Set<string>() };
  const read = (list: "set" | "add"): Result<NameValue[]> => {
    const out: NameValue[] = [];
    for (const h of f?.[list] ?? []) {
      const name = h.name.toLowerCase();
      const refused = refusedName(h.name);
      if (refused !== undefined) return err(refused);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
      if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(h.value))
        return err(`header ${JSON.stringify(h.name)} has characters that no header may have`);
      if (!seen[list].has(name)) out.push({ name, value: h.value });
      seen[list].add(name);
    }
    return ok(out);
  };
  const set = read("set");
  const add = read("add");
  if (!set.ok) return set;
  if (!add.ok) return add;
  const remove = f?.remove ?? [];
  const refused = remove.map(refusedName).find((r) => r !== undefined);
  return refused === undefined ? ok({ set: set.value, add: add.value, remove: remove.map((n) => n.toLowerCase()) }) : err(refused);
};

const pathRewrite = (p: PathModifier | undefined, prefix: string | undefined): Result<PathRewrite | undefined> => {
  switch (p?.type) {
    case undefined:
      return ok(undefined);
    case "ReplaceFullPath":
      return ok({ type: "full", value: p?.replaceFullPath ?? "/" });
    case "ReplacePrefixMatch":
      return prefix === undefined
        ? err("ReplacePrefixMatch needs a PathPrefix match")
        : ok({ type: "prefix", prefix, value: p?.replacePrefixMatch ?? "/" });
    default:
      return err(`path modifier type ${JSON.stringify(p?.type)} is unknown`);
  }
};

const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

const redirect = (r: NonNullable<HttpRouteFilter["requestRedirect"]>, prefix: string | undefined): Filter => {
  const path = pathRewrite(r.path, prefix);
  const status = r.statusCode ?? 302;
  if (!path.ok) return unsupported(path.error);
  if (!REDIRECTS.includes(status)) return unsupported(`redirect status ${status} is not one of ${REDIRECTS.join(", ")}`);
  return { kind: "redirect", scheme: r.scheme, hostname: r.hostname, port: r.port, path: path.value, status };
};

const mirror = (m: NonNullable<HttpRouteFilter["requestMirror"]>, context: FilterContext): Filter => {
  const percent = m.percent ?? (m.fraction === undefined ? 100 : (100 * m.fraction.numerator) / (m.fraction.denominator ?? 100));
  return percent >= 0 && percent <= 100
    ? { kind: "mirror", backend: context.backend(m.backendRef), percent }
    : unsupported(`RequestMirror asks for ${percent} percent`);
};

export const toFilter = (f: HttpRouteFilter, context: FilterContext): Filter => {
  switch (f.type) {
    case "RequestHeaderModifier":
    case "ResponseHeaderModifier": {
      const request = f.type === "RequestHeaderModifier";
      const edits = headerEdits(request ? f.requestHeaderModifier : f.responseHeaderModifier);
      return edits.ok ? { kind: request ? "request-headers" : "response-headers", edits: edits.value } : unsupported(edits.error);
    }
    case "RequestRedirect":
      return redirect(f.requestRedirect ?? {}, context.prefix);
    case "URLRewrite": {
      const path = pathRewrite(f.urlRewrite?.path, context.prefix);
      return path.ok ? { kind: "rewrite", hostname: f.urlRewrite?.hostname, path: path.value } : unsupported(path.error);
    }
    case "RequestMirror":
      return f.requestMirror === undefined ? unsupported("RequestMirror names no backend") : mirror(f.requestMirror, context);
    default:
      return unsupported(`filter ${f.type} is not supported`);
  }
};

/** Filters that may not stand together, or a kind that stands twice: said in a sentence. */
export const incompatible = (filters: readonly HttpRouteFilter[]): string | undefined => {
  const types = filters.map((f) => f.type);
  if (types.includes("RequestRedirect") && types.includes("URLRewrite")) return "RequestRedirect and URLRewrite cannot stand together";
  const twice = types.find((t, i) => t !== "RequestMirror" && t !== "ExtensionRef" && types.indexOf(t) !== i);
  return twice === undefined ? undefined : `filter ${twice} stands twice`;
};
