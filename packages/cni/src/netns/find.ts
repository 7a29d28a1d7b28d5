// Whose pod does a process belong to, and does its namespace own the pod's address? (texts of /proc, read elsewhere)

import { type Ip, ipFromBytes, parseIp } from "@ambit/shared/addr/ip.ts";

const POD_IN_CGROUP = /pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})/;

/** The pod uid named in a /proc/<pid>/cgroup text, under cgroupfs ("pod<uid>") and systemd ("-pod<u_i_d>.slice") drivers. */
export const podUidOf = (cgroup: string): string | undefined => POD_IN_CGROUP.exec(cgroup)?.[1]?.replaceAll("_", "-");

/** The IPv4 addresses that a /proc/<pid>/net/fib_trie text lists as the namespace's own. */
export const ownV4 = (fibTrie: string): ReadonlySet<string> => {
  const own = new Set<string>();
  let last = "";
  for (const line of fibTrie.split("\n")) {
    const leaf = /\|-- (\d+\.\d+\.\d+\.\d+)/.exec(line);
    if (leaf?.[1] !== undefined) last = leaf[1];
    else if (/\/32 host LOCAL/.test(line)) own.add(last);
  }
  return own;
};

/** The IPv6 addresses of a /proc/<pid>/net/if_inet6 text, canonical. */
export const ownV6 = (ifInet6: string): ReadonlySet<string> =>
  new Set(
    ifInet6.split("\n").flatMap((line) => {
      const hex = /^([0-9a-f]{32}) /.exec(line)?.[1];
      const ip = hex === undefined ? undefined : ipFromBytes(Buffer.from(hex, "hex"));
      return ip?.ok === true ? [ip.value] : [];
    }),
  );

/** True when the namespace owns at least one of the pod's addresses: a wrong namespace would mean a wrong identity. */
export const ownsAddress = (addresses: readonly string[], fibTrie: string, ifInet6: string): boolean => {
  const own = new Set([...ownV4(fibTrie), ...ownV6(ifInet6)]);
  return addresses.some((text) => {
    const ip = parseIp(text);
    return ip.ok && own.has(ip.value satisfies Ip);
  });
};
