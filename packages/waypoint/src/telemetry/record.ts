// What is told of one request, whatever the format?

import { formatSocketAddr } from "@ambit/shared/addr/socket.ts";
import type { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import { MeshError as MeshErrorClass } from "@ambit/shared/errors/mesh-error.ts";
import type { RequestCtx } from "../http/context.ts";
import { firstOf, joined } from "../http/fields.ts";
import { isGrpc } from "../http/layers/rescue.ts";
import type { ExchangeEnd } from "../http/message.ts";

export type RequestRecord = {
  readonly startedAt: number;
  readonly durationMs: number;
  readonly method: string;
  readonly path: string;
  readonly protocol: string;
  readonly grpc: boolean;
  readonly authority: string;
  /** 0 when the caller had gone before there was one. */
  readonly status: number;
  /** The gRPC status as a number in text; "" for anything else. */
  readonly grpcStatus: string;
  readonly flags: string;
  readonly details: string;
  readonly upstreamFailure: string;
  readonly received: number;
  readonly sent: number;
  readonly receivedWire: number;
  readonly sentWire: number;
  readonly upstreamMs: number | undefined;
  readonly forwardedFor: string | undefined;
  readonly userAgent: string | undefined;
  readonly requestId: string | undefined;
  readonly route: string;
  readonly upstreamHost: string | undefined;
  readonly cluster: string;
  readonly source: string;
  readonly destination: string;
};

const failureOf = (ctx: RequestCtx, end: ExchangeEnd): MeshError | undefined =>
  ctx.report.failure ?? (end.failure instanceof MeshErrorClass ? end.failure : undefined);

const grpcStatusOf = (ctx: RequestCtx): string => {
  const r = ctx.report.response;
  return r === undefined ? "" : (firstOf(r.headers, "grpc-status") ?? firstOf(r.body.trailers(), "grpc-status") ?? "");
};

const clusterOf = (ctx: RequestCtx): string => {
  const b = ctx.plan?.backend;
  const { service, port } = ctx.addressed;
  return `inbound-vip|${b?.port ?? port.port}|http|${b?.hostname ?? service.hostname}`;
};

/** Codes that name the way to the backend, for upstream_transport_failure_reason. */
const TRANSPORT: ReadonlySet<string> = new Set([
  "CONNECT",
  "CONNECT_TIMEOUT",
  "TLS",
  "H2_HANDSHAKE",
  "HTTP_STATUS",
  "IDENTITY",
  "CERT_REVOKED",
]);

export const recordOf = (ctx: RequestCtx, end: ExchangeEnd, endedAt: number): RequestRecord => {
  const { exchange, report, connection } = ctx;
  const original = exchange.request;
  const failure = failureOf(ctx, end);
  const grpc = isGrpc(original);
  const { counts } = exchange;
  return {
    startedAt: ctx.startedAt,
    durationMs: Math.max(0, endedAt - ctx.startedAt),
    method: original.method,
    path: original.path,
    protocol: original.version,
    grpc,
    authority: original.authority,
    status: report.failure?.code === "CLIENT_GONE" ? 0 : (report.response?.status ?? 0),
    grpcStatus: grpc ? grpcStatusOf(ctx) : "",
    flags: failure?.rescue.l7Flag ?? "-",
    details: report.details !== "" ? report.details : failure === undefined ? "via_upstream" : failure.code.toLowerCase(),
    upstreamFailure: failure !== undefined && TRANSPORT.has(failure.code) ? failure.message : "",
    received: counts.received,
    sent: counts.sent,
    receivedWire: counts.received + counts.receivedHead,
    sentWire: counts.sent + counts.sentHead,
    upstreamMs: report.answeredAt === undefined ? undefined : Math.max(0, report.answeredAt - ctx.startedAt),
    forwardedFor: joined(ctx.request.headers, "x-forwarded-for"),
    userAgent: firstOf(original.headers, "user-agent"),
    requestId: firstOf(ctx.request.headers, "x-request-id"),
    route: report.route,
    upstreamHost: report.upstream === undefined ? undefined : formatSocketAddr(report.upstream.address),
    cluster: clusterOf(ctx),
    source: formatSocketAddr(connection.source),
    destination: formatSocketAddr(connection.destination),
  };
};
