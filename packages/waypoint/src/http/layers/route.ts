// Where does the request go? (carries out route/plan.ts)

import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { HeaderEdits } from "@ambit/shared/route/types.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { joinPath, splitPath } from "../../route/path.ts";
import { type PlannedRequest, planRequest } from "../../route/plan.ts";
import type { Patterns } from "../../route/regex.ts";
import type { Layer, RequestCtx } from "../context.ts";
import { editFields, firstOf } from "../fields.ts";
import { emptyBody, type HeaderFields, type HttpRequest, type HttpResponse } from "../message.ts";

export type RouteDeps = { readonly patterns: Pick<Patterns, "matcher">; readonly world: Pick<World, "random"> };

/** A header as routes see it: the authority answers to its two names. */
const headerOf =
  (r: Pick<HttpRequest, "authority" | "method" | "path" | "headers">) =>
  (name: string): string | undefined => {
    if (name === "host" || name === ":authority") return r.authority;
    if (name === ":method") return r.method;
    if (name === ":path") return r.path;
    return firstOf(r.headers, name);
  };

const planFor = (ctx: RequestCtx, d: RouteDeps): PlannedRequest =>
  planRequest({
    service: ctx.addressed.service,
    port: ctx.addressed.port,
    request: {
      method: ctx.request.method,
      scheme: ctx.request.scheme,
      authority: ctx.request.authority,
      path: splitPath(ctx.request.path),
      headers: ctx.request.headers,
      header: headerOf(ctx.request),
    },
    context: { callerNamespace: ctx.connection.peer?.namespace, regex: d.patterns.matcher },
    random: d.world.random(),
  });

const editAll = (headers: HeaderFields, edits: readonly HeaderEdits[]): HeaderFields => edits.reduce(editFields, headers);

const redirect = (status: number, location: string, edits: readonly HeaderEdits[]): HttpResponse => ({
  status,
  headers: editAll(
    [
      ["location", location],
      ["content-length", "0"],
    ],
    edits,
  ),
  body: emptyBody,
});

export const route =
  (d: RouteDeps): Layer =>
  (next) =>
  async (ctx) => {
    const { plan } = planFor(ctx, d);
    ctx.report.route = plan.rule === undefined ? "default" : `${plan.rule.route}/${plan.rule.rule}`;
    switch (plan.kind) {
      case "fail":
        ctx.report.details = plan.code === "ROUTE_NOT_FOUND" ? "route_not_found" : "direct_response";
        throw new MeshError(plan.code, plan.detail);
      case "redirect":
        ctx.report.details = "direct_response";
        ctx.request.body.cancel();
        return redirect(plan.status, plan.location, plan.responseEdits);
      case "forward": {
        ctx.plan = plan;
        ctx.request = {
          ...ctx.request,
          authority: plan.request.authority,
          path: joinPath(plan.request.path),
          headers: plan.request.headers,
        };
        const response = await next(ctx);
        return { ...response, headers: editAll(response.headers, plan.responseEdits) };
      }
    }
  };
