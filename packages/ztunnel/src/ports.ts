// Which ports are ztunnel's own inside a pod, so that nothing is ever proxied to them?

export const OUTBOUND_PORT = 15001;
export const PASSTHROUGH_PORT = 15006;
export const HBONE_PORT = 15008;

/** On the pod's loopback, only where it is asked for. */
export const SOCKS_PORT = 15080;

export type OwnPorts = ReadonlySet<number>;
const OWN: OwnPorts = new Set([OUTBOUND_PORT, PASSTHROUGH_PORT, HBONE_PORT]);
const OWN_WITH_SOCKS: OwnPorts = new Set([...OWN, SOCKS_PORT]);

export const ownPorts = ({ socks }: { readonly socks: boolean }): OwnPorts => (socks ? OWN_WITH_SOCKS : OWN);

/** True for a port that a proxied connection must not end at: it would come back to us in a loop. */
export const isOwnPort = (port: number, own: OwnPorts = OWN): boolean => own.has(port);
