// Which ports are ztunnel's own inside a pod, so that nothing is ever proxied to them?

export const OUTBOUND_PORT = 15001;
export const PASSTHROUGH_PORT = 15006;
export const HBONE_PORT = 15008;

const OWN: ReadonlySet<number> = new Set([OUTBOUND_PORT, PASSTHROUGH_PORT, HBONE_PORT]);

/** True for a port that a proxied connection must not end at: it would come back to us in a loop. */
export const isOwnPort = (port: number): boolean => OWN.has(port);
