// How are subject alternative names written into DER, and read from it?

import { ipBytes, ipFromBytes, parseIp } from "../addr/ip.ts";
import { unwrap } from "../runtime/result.ts";
import { children, content, type Der, fromBytes, implicit, isContext, sequence } from "./der.ts";

export type AltNames = { readonly uris: readonly string[]; readonly dnsNames: readonly string[]; readonly ips: readonly string[] };

const DNS = 2;
const URI = 6;
const IP = 7;

/** The GeneralNames; throws when one of ips is not an address. */
export const altNames = (names: AltNames): Der =>
  sequence(
    ...names.uris.map((u) => implicit(URI, Buffer.from(u, "latin1"))),
    ...names.dnsNames.map((d) => implicit(DNS, Buffer.from(d, "latin1"))),
    ...names.ips.map((ip) => implicit(IP, ipBytes(unwrap(parseIp(ip))))),
  );

/** What a GeneralNames value holds; undefined when it cannot be read or has a kind of name that is not one of these. */
export const readAltNames = (bytes: Uint8Array): AltNames | undefined => {
  const der = fromBytes(bytes);
  if (!der.ok) return undefined;
  const entries = children(der.value);
  const of = (tag: number) => entries.filter((e) => isContext(e, tag)).map(content);
  const texts = (tag: number) => of(tag).map((b) => Buffer.from(b).toString("latin1"));
  const ips = of(IP).map(ipFromBytes);
  const known = entries.every((e) => isContext(e, DNS) || isContext(e, URI) || isContext(e, IP));
  if (!known || ips.some((ip) => !ip.ok)) return undefined;
  return { uris: texts(URI), dnsNames: texts(DNS), ips: ips.flatMap((ip) => (ip.ok ? [ip.value as string] : [])) };
};
