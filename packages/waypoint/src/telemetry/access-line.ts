// How does a request read in the access log? (Istio's default text format and JSON keys, waypoint-l7 section 5.2)

import type { RequestRecord } from "./record.ts";

const orDash = (v: string | number | undefined): string => (v === undefined || v === "" ? "-" : String(v));
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach the line
const UNSAFE = /[\u0000-\u001f\u007f"\\]/g;
/** Inside quotes: what would end them, or the line, is escaped. */
const quoted = (v: string | undefined): string =>
  `"${orDash(v).replace(UNSAFE, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`)}"`;
const isoMillis = (ms: number): string => new Date(ms).toISOString();
// A proxy in the mesh sees no server name: the TLS of the tunnel is its own.
const NO_SERVER_NAME = "-";

/** One line with its newline. */
export const accessText = (r: RequestRecord): string =>
  `${[
    `[${isoMillis(r.startedAt)}]`,
    quoted(`${r.method} ${r.path} ${r.protocol}`),
    r.status,
    r.flags,
    orDash(r.details),
    "-",
    quoted(r.upstreamFailure),
    r.received,
    r.sent,
    Math.round(r.durationMs),
    orDash(r.upstreamMs === undefined ? undefined : Math.round(r.upstreamMs)),
    quoted(r.forwardedFor),
    quoted(r.userAgent),
    quoted(r.requestId),
    quoted(r.authority),
    quoted(r.upstreamHost),
    r.cluster,
    "-",
    r.destination,
    r.source,
    NO_SERVER_NAME,
    orDash(r.route).replace(/\s/g, "_"),
  ].join(" ")}\n`;

const orNull = (v: string | undefined): string | null => (v === undefined || v === "" ? null : v);

export const accessJson = (r: RequestRecord): string =>
  `${JSON.stringify({
    start_time: isoMillis(r.startedAt),
    route_name: orNull(r.route),
    method: r.method,
    path: r.path,
    protocol: r.protocol,
    response_code: r.status,
    response_flags: r.flags,
    response_code_details: orNull(r.details),
    connection_termination_details: null,
    bytes_received: r.received,
    bytes_sent: r.sent,
    duration: Math.round(r.durationMs),
    upstream_service_time: r.upstreamMs === undefined ? null : String(Math.round(r.upstreamMs)),
    x_forwarded_for: orNull(r.forwardedFor),
    user_agent: orNull(r.userAgent),
    request_id: orNull(r.requestId),
    authority: orNull(r.authority),
    upstream_host: orNull(r.upstreamHost),
    upstream_cluster: r.cluster,
    upstream_local_address: null,
    downstream_local_address: r.destination,
    downstream_remote_address: r.source,
    requested_server_name: null,
    upstream_transport_failure_reason: orNull(r.upstreamFailure),
  })}\n`;
