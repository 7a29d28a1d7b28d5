// How are route filters and backends written and read? (parts of ambit.waypoint.v1.Rule)

import type { BackendTarget, Filter, HeaderEdits, PathRewrite, WeightedBackend } from "../route/types.ts";
import { allOf, err, mapOk, ok, type Result } from "../runtime/result.ts";
import { at, each, oneofCase, readName, readPort } from "./read.ts";

type WireEdits = { set: HeaderEdits["set"][number][]; add: HeaderEdits["add"][number][]; remove: string[] };
type WirePathRewrite = { full?: string; prefix?: { prefix: string; value: string } | null };
type WireBackend = { service?: { namespace: string; hostname: string; port: number } | null; invalid?: { reason: string } | null };
export type WireFilter = {
  requestHeaders?: WireEdits | null;
  responseHeaders?: WireEdits | null;
  redirect?: {
    scheme?: string | null;
    hostname?: string | null;
    port?: number | null;
    path?: WirePathRewrite | null;
    status: number;
  } | null;
  rewrite?: { hostname?: string | null; path?: WirePathRewrite | null } | null;
  mirror?: { backend?: WireBackend | null; percent: number } | null;
  unsupported?: { reason: string } | null;
};
export type WireWeightedBackend = { weight: number; target?: WireBackend | null; filters: WireFilter[] };

const writeEdits = (e: HeaderEdits): WireEdits => ({ set: [...e.set], add: [...e.add], remove: [...e.remove] });
const readPair = (p: { name: string; value: string }) => mapOk(readName("name", p.name), (name) => ({ name, value: p.value }));
const readEdits = (e: WireEdits): Result<HeaderEdits> =>
  allOf({
    set: each("set", e.set, readPair),
    add: each("add", e.add, readPair),
    remove: each("remove", e.remove, (name) => readName("name", name)),
  });

const writePath = (p: PathRewrite | undefined): WirePathRewrite | null => {
  if (p === undefined) return null;
  return p.type === "full" ? { full: p.value } : { prefix: { prefix: p.prefix, value: p.value } };
};

const readPath = (p: WirePathRewrite | null | undefined): Result<PathRewrite | undefined> => {
  if (!p) return ok(undefined);
  const which = oneofCase("path.type", p, ["full", "prefix"]);
  if (!which.ok) return which;
  return ok(p.prefix ? { type: "prefix", prefix: p.prefix.prefix, value: p.prefix.value } : { type: "full", value: p.full ?? "" });
};

const writeTarget = (t: BackendTarget): WireBackend =>
  t.kind === "service" ? { service: { namespace: t.namespace, hostname: t.hostname, port: t.port } } : { invalid: { reason: t.reason } };

const readTarget = (t: WireBackend | null | undefined): Result<BackendTarget> => {
  const which = oneofCase("target", t ?? {}, ["service", "invalid"]);
  if (!which.ok) return which;
  if (!t?.service) return ok({ kind: "invalid", reason: t?.invalid?.reason ?? "" });
  const { service } = t;
  return mapOk(
    allOf({
      namespace: readName("namespace", service.namespace),
      hostname: readName("hostname", service.hostname),
      port: readPort("port", service.port),
    }),
    (read) => ({ kind: "service", ...read }),
  );
};

export const writeFilter = (f: Filter): WireFilter => {
  switch (f.kind) {
    case "request-headers":
      return { requestHeaders: writeEdits(f.edits) };
    case "response-headers":
      return { responseHeaders: writeEdits(f.edits) };
    case "redirect":
      return {
        redirect: {
          scheme: f.scheme ?? null,
          hostname: f.hostname ?? null,
          port: f.port ?? null,
          path: writePath(f.path),
          status: f.status,
        },
      };
    case "rewrite":
      return { rewrite: { hostname: f.hostname ?? null, path: writePath(f.path) } };
    case "mirror":
      return { mirror: { backend: writeTarget(f.backend), percent: f.percent } };
    case "unsupported":
      return { unsupported: { reason: f.reason } };
  }
};

const readRedirect = (r: NonNullable<WireFilter["redirect"]>): Result<Filter> => {
  if (r.status < 300 || r.status > 399) return err(`redirect.status: ${r.status} is not a redirect`);
  return mapOk(
    allOf({ path: readPath(r.path), port: r.port === null || r.port === undefined ? ok(undefined) : readPort("redirect.port", r.port) }),
    ({ path, port }) => ({
      kind: "redirect",
      scheme: r.scheme ?? undefined,
      hostname: r.hostname ?? undefined,
      port,
      path,
      status: r.status,
    }),
  );
};

const readMirror = (m: NonNullable<WireFilter["mirror"]>): Result<Filter> =>
  m.percent >= 0 && m.percent <= 100
    ? mapOk(readTarget(m.backend), (backend) => ({ kind: "mirror", backend, percent: m.percent }))
    : err(`mirror.percent: ${m.percent} is not from 0 to 100`);

export const readFilter = (f: WireFilter): Result<Filter> => {
  const which = oneofCase("kind", f, ["requestHeaders", "responseHeaders", "redirect", "rewrite", "mirror", "unsupported"]);
  if (!which.ok) return which;
  if (f.requestHeaders) return mapOk(readEdits(f.requestHeaders), (edits) => ({ kind: "request-headers", edits }));
  if (f.responseHeaders) return mapOk(readEdits(f.responseHeaders), (edits) => ({ kind: "response-headers", edits }));
  if (f.redirect) return readRedirect(f.redirect);
  if (f.rewrite) {
    const hostname = f.rewrite.hostname ?? undefined;
    return mapOk(readPath(f.rewrite.path), (path) => ({ kind: "rewrite", hostname, path }));
  }
  if (f.mirror) return readMirror(f.mirror);
  return ok({ kind: "unsupported", reason: f.unsupported?.reason ?? "" });
};

export const writeBackend = (b: WeightedBackend): WireWeightedBackend => ({
  weight: b.weight,
  target: writeTarget(b.target),
  filters: b.filters.map(writeFilter),
});

export const readBackend = (b: WireWeightedBackend): Result<WeightedBackend> =>
  mapOk(allOf({ target: at("target", readTarget(b.target)), filters: each("filters", b.filters, readFilter) }), (read) => ({
    ...read,
    weight: b.weight,
  }));
