// Which cluster addresses does a Service get?

import { cidrContains, parseCidr } from "@ambit/shared/addr/cidr.ts";
import { type Ip, ipBytes, ipFromBytes, isV4, parseIp } from "@ambit/shared/addr/ip.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";

export type Family = "IPv4" | "IPv6";

const RANGES = { IPv4: unwrap(parseCidr("10.96.0.0/16")), IPv6: unwrap(parseCidr("fd00:96::/112")) } as const;
/** Both ranges hold 16 bits of hosts. */
const HOSTS = 65_536;
/** Below this, addresses are given only to those who name them (KEP-3070): 10.96.0.1 and 10.96.0.10 live there. */
const FIRST_DYNAMIC = 256;

const hostAddress = (family: Family, host: number): Ip => {
  const bytes = Uint8Array.from(RANGES[family].bytes);
  bytes[bytes.length - 2] = host >> 8;
  bytes[bytes.length - 1] = host & 255;
  return unwrap(ipFromBytes(bytes));
};

export const familyOf = (ip: Ip): Family => (isV4(ip) ? "IPv4" : "IPv6");

/** A free address of the family, searched from a random place on; undefined when the range is used up. */
export const freeAddress = (family: Family, used: ReadonlySet<string>, random: () => number): Ip | undefined => {
  const span = HOSTS - 1 - FIRST_DYNAMIC; // the last address is left out: IPv4's broadcast
  const start = Math.floor(random() * span);
  for (let i = 0; i < span; i++) {
    const ip = hostAddress(family, FIRST_DYNAMIC + ((start + i) % span));
    if (!used.has(ip)) return ip;
  }
  return undefined;
};

/** Why an address that the client names cannot be given; undefined when it can. */
export const addressRefusal = (text: string, used: ReadonlySet<string>): string | undefined => {
  const ip = parseIp(text);
  if (!ip.ok) return "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
  const range = RANGES[familyOf(ip.value)];
  const refused = (why: string) => `failed to allocate IP ${text}: ${why}`;
  if (!cidrContains(range, ip.value))
    return refused(`the provided IP (${text}) is not in the valid range. The range of valid IPs is ${range.ip}/${range.bits}`);
  const bytes = ipBytes(ip.value);
  const host = ((bytes.at(-2) ?? 0) << 8) | (bytes.at(-1) ?? 0);
  if (host === 0 || (host === HOSTS - 1 && isV4(ip.value))) return refused("the network's own address cannot be given");
  return used.has(ip.value) ? refused("provided IP is already allocated") : undefined;
};
