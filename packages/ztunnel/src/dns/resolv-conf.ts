// What does a resolv.conf say? (resolv.conf(5))

import { type Ip, parseIp } from "@ambit/shared/addr/ip.ts";

export type ResolvConf = {
  /** At most three, as the C library has it. */
  readonly nameservers: readonly Ip[];
  readonly search: readonly string[];
  /** Lines that say a nameserver which is no address; the C library skips them too. */
  readonly ignored: readonly string[];
};

const MAX_NAMESERVERS = 3;

/** Reads the text; the last `search` or `domain` line counts. Link-local servers with a zone are used without it. */
export const parseResolvConf = (text: string): ResolvConf => {
  const nameservers: Ip[] = [];
  const ignored: string[] = [];
  let search: readonly string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, ...values] = line
      .replace(/[#;].*$/, "")
      .trim()
      .split(/\s+/);
    if (keyword === "search" || keyword === "domain") search = values;
    if (keyword !== "nameserver") continue;
    const ip = parseIp((values[0] ?? "").replace(/%.*$/, ""));
    if (ip.ok) nameservers.push(ip.value);
    else ignored.push(line.trim());
  }
  return { nameservers: nameservers.slice(0, MAX_NAMESERVERS), search, ignored };
};
