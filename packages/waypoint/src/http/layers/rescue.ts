// What does a failure become as an answer?

import { type MeshErrorCode, RESCUE } from "@ambit/shared/errors/codes.ts";
import { asMeshError, type MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { Layer } from "../context.ts";
import { firstOf } from "../fields.ts";
import { emptyBody, type HttpRequest, type HttpResponse, textResponse } from "../message.ts";

/** Said to the caller; what exactly happened is told in the access log, not to strangers. The first is Envoy's text. */
const TEXTS: Partial<Record<MeshErrorCode, string>> = {
  DENY: "RBAC: access denied",
  DENY_LATE: "RBAC: access denied",
  ROUTE_NOT_FOUND: "no route matches",
  INVALID_BACKEND: "the route's backend cannot be used",
  NO_HEALTHY_UPSTREAM: "no healthy upstream",
  NO_SERVICE_PORT: "the backend's service does not have the port",
  UPSTREAM_TIMEOUT: "upstream request timeout",
  UPSTREAM_RESET: "the backend closed the connection before it answered",
  UPSTREAM_PROTOCOL: "the backend's answer cannot be read",
  CONNECT: "the backend cannot be reached",
  CONNECT_TIMEOUT: "the backend cannot be reached",
  TLS: "the backend is not who it must be",
  PROTOCOL: "the request cannot be read",
};

export const isGrpc = (r: Pick<HttpRequest, "headers">): boolean =>
  firstOf(r.headers, "content-type")?.startsWith("application/grpc") === true;

/** The text as a grpc-message: percent-encoded outside printable ASCII. */
const grpcMessage = (text: string): string => text.replace(/[^\x20-\x24\x26-\x7e]/g, (c) => encodeURIComponent(c));

/** A plain answer, or for gRPC a trailers-only one (gRPC over HTTP/2, "Responses"). */
export const failureResponse = (error: MeshError, grpc: boolean): HttpResponse => {
  const rescue = RESCUE[error.code];
  const text = TEXTS[error.code] ?? "the request failed";
  if (!grpc) return textResponse(rescue.http, text);
  return {
    status: 200,
    headers: [
      ["content-type", "application/grpc"],
      ["grpc-status", String(rescue.grpc)],
      ["grpc-message", grpcMessage(text)],
    ],
    body: emptyBody,
  };
};

export const rescue = (): Layer => (next) => async (ctx) => {
  try {
    return await next(ctx);
  } catch (e) {
    const error = asMeshError(e, "UPSTREAM_RESET");
    ctx.report.failure = error;
    ctx.exchange.request.body.cancel();
    return failureResponse(error, isGrpc(ctx.exchange.request));
  }
};
