// Which address has what in the embedded cluster's network?

export const FABRIC = { ipv4: "172.30.0.1", ipv6: "fd00:30::1" } as const;
export const KUBERNETES_SERVICE = { ip: "10.96.0.1", port: 443 } as const;
export const DNS_SERVICE = ["10.96.0.10", "fd00:96::a"] as const;
export const CLUSTER_DOMAIN = "cluster.local";

/** Node numbers are 1 to 200; pod numbers 2 to 254 (1 is the node's bridge). IPv6 repeats the decimal digits, to be read at a glance. */
const FIRST_POD = 2;
export const LAST_POD = 254;

export type Addresses = { readonly ipv4: string; readonly ipv6: string };

/** The node's own address on the fabric. */
export const nodeAddresses = (node: number): Addresses => ({ ipv4: `172.30.0.${10 + node}`, ipv6: `fd00:30::${10 + node}` });
/** The node's address on its pod bridge: every pod's gateway. */
export const gatewayAddresses = (node: number): Addresses => ({ ipv4: `10.244.${node}.1`, ipv6: `fd00:244:${node}::1` });
export const podAddresses = (node: number, pod: number): Addresses => ({
  ipv4: `10.244.${node}.${pod}`,
  ipv6: `fd00:244:${node}::${pod}`,
});
export const podRanges = (node: number): Addresses => ({ ipv4: `10.244.${node}.0/24`, ipv6: `fd00:244:${node}::/64` });

/** The lowest free pod number of a node, or undefined when all are taken. */
export const freePodNumber = (taken: ReadonlySet<number>): number | undefined => {
  for (let n = FIRST_POD; n <= LAST_POD; n++) if (!taken.has(n)) return n;
  return undefined;
};
