// How does a pod send a plaintext client through its service's waypoint without lending it its own identity? (headers that others ignore)

import type { SocketAddr } from "../addr/socket.ts";
import { formatForwarded, parseForwarded } from "./headers.ts";
import type { TunnelHeaders } from "./types.ts";

/**
 * In a CONNECT: the tunnel is the pod's, the client behind it is somebody unknown, named by `forwarded`. In the answer: so it is taken.
 * Whoever does not say so would take the client for the pod itself, and must be sent nothing.
 */
const CLIENT_HEADER = "x-ambit-client";
const ANONYMOUS = "anonymous";

export const anonymousClient = (client: SocketAddr): TunnelHeaders => ({ [CLIENT_HEADER]: ANONYMOUS, forwarded: formatForwarded(client) });

export const ANONYMOUS_TAKEN: TunnelHeaders = { [CLIENT_HEADER]: ANONYMOUS };

export const isAnonymous = (headers: TunnelHeaders): boolean => headers[CLIENT_HEADER] === ANONYMOUS;

/** The client's address, when the request names one. */
export const clientBehind = (headers: TunnelHeaders): SocketAddr | undefined => parseForwarded(headers.forwarded ?? "").source;
