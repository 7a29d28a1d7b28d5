// Which links, addresses, routes and sysctls make the fabric, a node and a pod?

import { fabricNetns, nodeNetns, podNetns, shortUid } from "../instance.ts";
import { DNS_SERVICE, FABRIC, gatewayAddresses, nodeAddresses, podAddresses, podRanges } from "./addresses.ts";

/**
 * One step: first the sysctls (paths below /proc/sys/net, set inside the namespace, so that links made later inherit them; those
 * below bridge/ only where there are such),
 * then the lines as one `ip -batch`. Without a namespace the lines run in the caller's.
 */
export type Step = {
  readonly netns?: string;
  readonly sysctls?: readonly (readonly [path: string, value: string])[];
  readonly ip: readonly string[];
};

// No duplicate address detection: an address works the moment it is set. No reverse path filter: the mesh answers with
// addresses that are not the node's. No redirects: a pod must keep sending through its node, whose conntrack undoes the NAT.
const QUIET_LINKS = [
  ["ipv6/conf/default/accept_dad", "0"],
  ["ipv6/conf/default/accept_ra", "0"],
  ["ipv6/conf/default/accept_redirects", "0"],
  ["ipv4/conf/all/rp_filter", "0"],
  ["ipv4/conf/default/rp_filter", "0"],
  ["ipv4/conf/default/accept_redirects", "0"],
  ["ipv4/conf/all/accept_redirects", "0"],
  ["ipv4/conf/default/send_redirects", "0"],
  ["ipv4/conf/all/send_redirects", "0"],
] as const;
const FORWARDING = [
  // Where br_netfilter is loaded it would run the node's NAT on frames while they are bridged, and lose those a pod sends to itself.
  ["bridge/bridge-nf-call-iptables", "0"],
  ["bridge/bridge-nf-call-ip6tables", "0"],
  ["ipv4/ip_forward", "1"],
  ["ipv6/conf/all/forwarding", "1"],
] as const;

const both = (a: { readonly ipv4: string; readonly ipv6: string }, line: (address: string, family: 4 | 6) => string): readonly string[] => [
  line(a.ipv4, 4),
  line(a.ipv6, 6),
];

/** The namespace that joins the nodes. What leads nowhere is answered at once (unreachable), not swallowed. */
export const fabricPlan = (id: string): readonly Step[] => {
  const netns = fabricNetns(id);
  return [
    { ip: [`netns add ${netns}`] },
    {
      netns,
      sysctls: [...QUIET_LINKS, ...FORWARDING],
      ip: [
        "link set lo up",
        "link add fabric type bridge forward_delay 0",
        "link set fabric up",
        `address add ${FABRIC.ipv4}/24 dev fabric`,
        `address add ${FABRIC.ipv6}/64 dev fabric nodad`,
        "route add unreachable 0.0.0.0/0",
        "route add unreachable ::/0",
      ],
    },
  ];
};

const routesTo = (node: number): readonly string[] => {
  const range = podRanges(node);
  const via = nodeAddresses(node);
  return [`route add ${range.ipv4} via ${via.ipv4}`, `route add ${range.ipv6} via ${via.ipv6}`];
};

/** Node `node` of `nodes`: its namespace, its link to the fabric, its pod bridge and the ways to the other nodes' pods. */
export const nodePlan = (id: string, node: number, nodes: number): readonly Step[] => {
  const netns = nodeNetns(id, node);
  const others = Array.from({ length: nodes }, (_, i) => i + 1).filter((n) => n !== node);
  return [
    { ip: [`netns add ${netns}`] },
    { netns, sysctls: [...QUIET_LINKS, ...FORWARDING], ip: ["link set lo up"] },
    {
      netns: fabricNetns(id),
      ip: [`link add n${node} type veth peer name eth0 netns ${netns}`, `link set n${node} master fabric up`, ...routesTo(node)],
    },
    {
      netns,
      ip: [
        "link set eth0 up",
        "link add pods type bridge forward_delay 0",
        "link set pods up",
        ...DNS_SERVICE.map((ip) => `address add ${ip} dev lo${ip.includes(":") ? " nodad" : ""}`),
        ...both(nodeAddresses(node), (a, f) => `address add ${a}/${f === 4 ? 24 : 64} dev eth0${f === 6 ? " nodad" : ""}`),
        ...both(gatewayAddresses(node), (a, f) => `address add ${a}/${f === 4 ? 24 : 64} dev pods${f === 6 ? " nodad" : ""}`),
        `route add default via ${FABRIC.ipv4}`,
        `route add default via ${FABRIC.ipv6}`,
        ...others.flatMap(routesTo),
      ],
    },
  ];
};

export type PodSandbox = { readonly uid: string; readonly node: number; readonly number: number };

/** The name of a pod's link on its node's side. */
const podLink = (uid: string): string => `v${shortUid(uid)}`;

/** A pod's namespace: one link to its node's bridge, host-sized addresses, and everything by way of the node. */
export const podPlan = (id: string, pod: PodSandbox): readonly Step[] => {
  const netns = podNetns(id, pod.uid);
  const link = podLink(pod.uid);
  const gateway = gatewayAddresses(pod.node);
  return [
    { ip: [`netns add ${netns}`] },
    {
      netns,
      sysctls: [...QUIET_LINKS, ["ipv4/ip_unprivileged_port_start", "0"], ["ipv4/ping_group_range", "0 2147483647"]],
      ip: ["link set lo up"],
    },
    {
      netns: nodeNetns(id, pod.node),
      ip: [
        `link add ${link} type veth peer name eth0 netns ${netns}`,
        `link set ${link} master pods up`,
        // The address may have been another pod's a moment ago: what is sent to its link is lost until the node asks again.
        ...both(podAddresses(pod.node, pod.number), (a) => `neigh flush to ${a} dev pods`),
      ],
    },
    {
      netns,
      ip: [
        "link set eth0 up",
        ...both(podAddresses(pod.node, pod.number), (a, f) => `address add ${a}/${f === 4 ? 32 : 128} dev eth0${f === 6 ? " nodad" : ""}`),
        `route add default via ${gateway.ipv4} dev eth0 onlink`,
        `route add default via ${gateway.ipv6} dev eth0 onlink`,
      ],
    },
  ];
};

/** Takes a pod's link away at once (whoever still holds the namespace open) and then its name. */
export const podTeardown = (id: string, uid: string, node: number): readonly Step[] => [
  { netns: nodeNetns(id, node), ip: [`link del ${podLink(uid)}`] },
  { ip: [`netns del ${podNetns(id, uid)}`] },
];
