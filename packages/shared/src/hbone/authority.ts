// What does a CONNECT ask for? (its :authority, strictly)

import { type Ip, parseIp } from "../addr/ip.ts";
import { formatSocketAddr, parseHostPort } from "../addr/socket.ts";
import { err, ok, type Result } from "../runtime/result.ts";

export type Authority =
  | { readonly kind: "address"; readonly ip: Ip; readonly port: number }
  /** Lower case. */
  | { readonly kind: "hostname"; readonly hostname: string; readonly port: number };

const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;

/** Labels of letters, digits, "-" and "_"; the last is not a number, so that "10.0.0.256" and "10.1" are nothing at all. */
const isHostname = (h: string): boolean => {
  const labels = h.split(".");
  return h.length <= 253 && labels.every((l) => LABEL.test(l)) && !/^\d+$/.test(labels.at(-1) ?? "");
};

/** "10.0.0.1:80", "[fd00::1]:80" or "name:80" (RFC 9110 section 9.3.6: a CONNECT's target is host and port, nothing else). */
export const parseAuthority = (text: string): Result<Authority> => {
  const hp = parseHostPort(text);
  if (!hp.ok) return err(`:authority ${JSON.stringify(text.slice(0, 300))} is not ip:port or host:port`);
  const { host, port } = hp.value;
  const ip = parseIp(host);
  if (ip.ok) return ok({ kind: "address", ip: ip.value, port });
  const hostname = host.toLowerCase();
  return isHostname(hostname)
    ? ok({ kind: "hostname", hostname, port })
    : err(`:authority ${JSON.stringify(text.slice(0, 300))} is not ip:port or host:port`);
};

export const formatAuthority = (a: Authority): string => (a.kind === "address" ? formatSocketAddr(a) : `${a.hostname}:${a.port}`);
