// Which failures are there, and what does each become on HBONE, on HTTP and in telemetry?

/** One code per reason a connection or request can fail. Codes are never reused for another meaning. */
export type MeshErrorCode =
  | "DENY" // an authorization policy refused it
  | "DENY_LATE" // a policy pushed later refused a live connection
  | "SELF_CALL" // the destination is one of our own ports
  | "UNKNOWN_SOURCE" // the pod's own workload is not known (yet)
  | "NO_SERVICE_PORT" // the service does not have the port
  | "NO_HEALTHY_UPSTREAM" // the service has no eligible endpoint
  | "WAYPOINT_UNAVAILABLE" // the destination must go through a waypoint that cannot be found
  | "BAD_REQUEST" // not CONNECT, or an authority that cannot be read
  | "IP_MISMATCH" // the authority is not an address of this pod
  | "UNOWNED_DESTINATION" // a waypoint was asked for a service it does not own
  | "IDENTITY" // no certificate for our own identity
  | "TLS" // the handshake failed, or the peer is not who it must be
  | "H2_HANDSHAKE" // HTTP/2 could not be set up, or the CONNECT got no answer
  | "HTTP_STATUS" // the peer answered CONNECT with another status than 200
  | "CONNECT" // the TCP connection could not be made
  | "CONNECT_TIMEOUT" // no answer to the dial; a NetworkPolicy may block 15008
  | "CERT_REVOKED" // the peer's chain is on the revocation list
  | "DRAINED" // we are shutting down
  | "ELSEWHERE" // the peer has delivered nothing and asks to be passed over: its pod is ending, or its application refuses
  | "ROUTE_NOT_FOUND" // routes are attached and none matched
  | "INVALID_BACKEND" // the route's backend does not exist or may not be used
  | "UPSTREAM_RESET" // the backend closed before it answered
  | "UPSTREAM_PROTOCOL" // the backend broke HTTP's rules
  | "UPSTREAM_TIMEOUT" // the route's timeout passed
  | "BODY_TOO_LARGE" // more had to be held back for a retry than is allowed
  | "CLIENT_GONE" // the caller closed before the answer
  | "PROTOCOL"; // the peer broke HTTP's rules

/** What a failure becomes: HTTP status of the CONNECT answer, HTTP status of a proxied request, gRPC status, ztunnel's and Envoy's response flag. */
export type Rescue = {
  readonly hbone: number;
  readonly http: number;
  readonly grpc: number;
  readonly l4Flag: string;
  readonly l7Flag: string;
};

const row = (hbone: number, http: number, grpc: number, l4Flag: string, l7Flag: string): Rescue => ({ hbone, http, grpc, l4Flag, l7Flag });

/** Every code has a row: a code without one does not compile. Flags as ztunnel's metrics.rs and Envoy's stream_info name them. */
export const RESCUE: Readonly<Record<MeshErrorCode, Rescue>> = {
  DENY: row(401, 403, 7, "DENY", "-"),
  DENY_LATE: row(401, 403, 7, "DENY", "-"),
  SELF_CALL: row(400, 400, 3, "CONNECT", "NR"),
  UNKNOWN_SOURCE: row(503, 503, 14, "CONNECT", "NR"),
  NO_SERVICE_PORT: row(503, 503, 14, "CONNECT", "NR"),
  NO_HEALTHY_UPSTREAM: row(503, 503, 14, "CONNECT", "UH"),
  WAYPOINT_UNAVAILABLE: row(503, 503, 14, "CONNECT", "UH"),
  BAD_REQUEST: row(400, 400, 3, "CONNECT", "DPE"),
  IP_MISMATCH: row(400, 400, 3, "CONNECT", "NR"),
  UNOWNED_DESTINATION: row(404, 404, 5, "CONNECT", "NR"),
  IDENTITY: row(503, 503, 14, "IDENTITY_ERROR", "UF"),
  TLS: row(503, 503, 14, "TLS_FAILURE", "UF"),
  H2_HANDSHAKE: row(503, 503, 14, "H2_HANDSHAKE_FAILURE", "UF"),
  HTTP_STATUS: row(503, 503, 14, "CONNECT", "UF"),
  CONNECT: row(503, 503, 14, "CONNECT", "UF"),
  CONNECT_TIMEOUT: row(503, 503, 14, "NETWORK_POLICY", "UF"),
  CERT_REVOKED: row(503, 503, 14, "CERT_REVOKED", "UF"),
  DRAINED: row(503, 503, 14, "CONNECT", "UC"),
  ELSEWHERE: row(503, 503, 14, "CONNECT", "UF"),
  ROUTE_NOT_FOUND: row(404, 404, 12, "CONNECT", "NR"),
  INVALID_BACKEND: row(503, 500, 14, "CONNECT", "NC"),
  UPSTREAM_RESET: row(503, 503, 14, "CONNECT", "UC"),
  UPSTREAM_PROTOCOL: row(502, 502, 14, "CONNECT", "UPE"),
  UPSTREAM_TIMEOUT: row(504, 504, 4, "CONNECT", "UT"),
  BODY_TOO_LARGE: row(413, 413, 8, "CONNECT", "-"),
  CLIENT_GONE: row(499, 499, 1, "CONNECT", "DC"),
  PROTOCOL: row(400, 400, 13, "CONNECT", "DPE"),
};
