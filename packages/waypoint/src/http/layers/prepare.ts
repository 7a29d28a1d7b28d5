// Which headers and path does every request get, before anything is decided by them?

import { joinPath, normalisePath, splitPath } from "../../route/path.ts";
import type { Layer, RequestCtx } from "../context.ts";
import { firstOf, isLookalike, joined, withField, without } from "../fields.ts";
import type { HeaderFields } from "../message.ts";

export type PrepareDeps = {
  /** A fresh x-request-id. */
  newId(): string;
  /** The waypoint's own SPIFFE id. */
  readonly self: string;
};

/**
 * x-request-id where there is none; the caller's address at the end of x-forwarded-for; who the caller is, as its
 * certificate says, in x-forwarded-client-cert (what came in under that name is dropped: anybody can write it).
 */
const forwarded = (ctx: RequestCtx, d: PrepareDeps): HeaderFields => {
  let h = without(ctx.request.headers, "x-forwarded-client-cert");
  if (h.some(([n]) => isLookalike(n))) h = h.filter(([n]) => !isLookalike(n));
  if (firstOf(h, "x-request-id") === undefined) h = withField(h, "x-request-id", d.newId());
  if (firstOf(h, "x-forwarded-proto") === undefined) h = withField(h, "x-forwarded-proto", ctx.request.scheme);
  const before = joined(h, "x-forwarded-for");
  const { ip } = ctx.connection.source;
  h = withField(h, "x-forwarded-for", before === undefined ? ip : `${before},${ip}`);
  const { peer } = ctx.connection;
  return peer === undefined ? h : [...h, ["x-forwarded-client-cert", `By=${d.self};URI=${peer.uri}`]];
};

/** The path that policies, routes and the backend see is one and the same. */
export const prepare =
  (d: PrepareDeps): Layer =>
  (next) =>
  (ctx) => {
    const { path, query } = splitPath(ctx.request.path);
    ctx.request = {
      ...ctx.request,
      authority: ctx.request.authority === "" ? ctx.addressed.service.hostname : ctx.request.authority,
      path: joinPath({ path: normalisePath(path), query }),
      headers: forwarded(ctx, d),
    };
    return next(ctx);
  };
