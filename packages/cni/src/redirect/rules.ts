// What are the redirect rules in a pod's namespace, and the probe rules in the node's? (ambient-l4 section 1.4, nftables form)

import type { PodOptions } from "../plan.ts";

/** The mark on ztunnel's own packets, the mark of their connections, and the routing table for replies to spoofed sources. */
const PROXY_MARK = "0x539";
const CONNECTION_MARK = "0x111";
const ROUTE_TABLE = 100;
const RULE_PRIORITY = 32764;

/** Where the node's own probes seem to come from, so that pods can tell them apart. */
const PROBE_V4 = "169.254.7.127";
const PROBE_V6 = "fd16:9254:7127:1337:ffff:ffff:ffff:ffff";

const POD_TABLES = ["istio-ambient-mangle", "istio-ambient-nat", "istio-ambient-raw"] as const;
const HOST_TABLE = "istio-ambient-nat";

/** "add then delete" removes a table whether or not it is there, inside one transaction. */
const drop = (table: string): string => `add table inet ${table}\ndelete table inet ${table}\n`;

const mangle = `table inet istio-ambient-mangle {
  chain prerouting {
    type filter hook prerouting priority -150; policy accept;
    meta mark & 0xfff == ${PROXY_MARK} ct mark set ct mark & 0xfffff000 | ${CONNECTION_MARK}
  }
  chain output {
    type route hook output priority -150; policy accept;
    ct mark & 0xfff == ${CONNECTION_MARK} meta mark set ct mark
  }
}
`;

// Only a SYN is redirected: a connection that was open before the pod was captured keeps flowing as it did,
// where conntrack, meeting it in mid-stream, would otherwise have bent it to a listener that knows nothing of it.
const SYN = "tcp flags & (fin | syn | rst | ack) == syn";
const NOT_OURS = `meta mark & 0xfff != ${PROXY_MARK}`;

const inbound = `    ip saddr ${PROBE_V4} meta l4proto tcp accept
    ip6 saddr ${PROBE_V6} meta l4proto tcp accept
    ip daddr != 127.0.0.1 tcp dport != 15008 ${SYN} ${NOT_OURS} redirect to :15006
    ip6 daddr != ::1 tcp dport != 15008 ${SYN} ${NOT_OURS} redirect to :15006
`;

// The resolver's queries, UDP and TCP, to whichever nameserver: all go to ztunnel. A resolver on the pod's own loopback is left
// alone; what it asks further is not.
const dns = `    oifname != "lo" udp dport 53 ${NOT_OURS} redirect to :15053
    ip daddr != 127.0.0.1 tcp dport 53 ${SYN} ${NOT_OURS} redirect to :15053
    ip6 daddr != ::1 tcp dport 53 ${SYN} ${NOT_OURS} redirect to :15053
`;

// ztunnel's own queries leave from the same namespace to the same nameserver as the pod's that it answers. Tracked in a zone of
// their own, the two can never be taken for one flow, whatever ports they have.
const raw = `table inet istio-ambient-raw {
  chain prerouting {
    type filter hook prerouting priority -300; policy accept;
    udp sport 53 ${NOT_OURS} ct zone set 1
  }
  chain output {
    type filter hook output priority -300; policy accept;
    udp dport 53 meta mark & 0xfff == ${PROXY_MARK} ct zone set 1
  }
}
`;

const nat = (options: PodOptions): string => `table inet istio-ambient-nat {
  chain prerouting {
    type nat hook prerouting priority -100; policy accept;
${options.bypassInbound ? "" : inbound}  }
  chain output {
    type nat hook output priority -100; policy accept;
    ip daddr ${PROBE_V4} meta l4proto tcp accept
    ip6 daddr ${PROBE_V6} meta l4proto tcp accept
${options.captureDns ? dns : ""}    meta l4proto tcp meta mark & 0xfff == ${CONNECTION_MARK} accept
    oifname "lo" ip daddr != 127.0.0.1 accept
    oifname "lo" ip6 daddr != ::1 accept
    ip daddr != 127.0.0.1 ${SYN} ${NOT_OURS} redirect to :15001
    ip6 daddr != ::1 ${SYN} ${NOT_OURS} redirect to :15001
  }
}
`;

/** One nft transaction that puts the pod's rules in place, replacing whatever version of them was there. */
export const podRules = (options: PodOptions): string =>
  `${POD_TABLES.map(drop).join("")}${mangle}${nat(options)}${options.captureDns ? raw : ""}`;

/** One nft transaction that removes them; nothing happens where there are none. */
export const removePodRules = (): string => POD_TABLES.map(drop).join("");

export type Family = "ipv4" | "ipv6";

/** `ip -batch` lines of one family for policy routing: replies to connections with a spoofed source go back to lo, to ztunnel. */
export const podRouting = (action: "add" | "del", family: Family): string =>
  `rule ${action} fwmark ${CONNECTION_MARK}/0xfff pref ${RULE_PRIORITY} lookup ${ROUTE_TABLE}
route ${action === "add" ? "replace" : "del"} local ${family === "ipv4" ? "0.0.0.0/0" : "::/0"} dev lo table ${ROUTE_TABLE}
`;

export type ProbeSet = { readonly v4: readonly string[]; readonly v6: readonly string[] };

const elements = (addresses: readonly string[]): string => (addresses.length === 0 ? "" : `    elements = { ${addresses.join(", ")} }\n`);

/** One nft transaction in the node's namespace: TCP from the kubelet's user to captured pods leaves with the probe address. */
export const hostRules = (probes: ProbeSet, kubeletUid: number): string => `${drop(HOST_TABLE)}table inet ${HOST_TABLE} {
  set istio-inpod-probes-v4 {
    type ipv4_addr
${elements(probes.v4)}  }
  set istio-inpod-probes-v6 {
    type ipv6_addr
${elements(probes.v6)}  }
  chain postrouting {
    type nat hook postrouting priority 100; policy accept;
    meta l4proto tcp meta skuid ${kubeletUid} ip daddr @istio-inpod-probes-v4 snat ip to ${PROBE_V4}
    meta l4proto tcp meta skuid ${kubeletUid} ip6 daddr @istio-inpod-probes-v6 snat ip6 to ${PROBE_V6}
  }
}
`;

/** Adds addresses to, or deletes them from, the node's probe sets. */
export const probeElements = (action: "add" | "destroy", probes: ProbeSet): string => {
  const line = (set: string, addresses: readonly string[]): string => {
    if (addresses.length === 0) return "";
    const list = `inet ${HOST_TABLE} ${set} { ${addresses.join(", ")} }\n`;
    // nft 1.0.6 has no "destroy": adding first makes deleting certain to succeed.
    return action === "add" ? `add element ${list}` : `add element ${list}delete element ${list}`;
  };
  return line("istio-inpod-probes-v4", probes.v4) + line("istio-inpod-probes-v6", probes.v6);
};

export const removeHostRules = (): string => drop(HOST_TABLE);
