// What is an ip:port pair, and a network/ip key?

import { err, ok, type Result } from "../runtime/result.ts";
import { type Ip, isV4, parseIp } from "./ip.ts";

export type SocketAddr = { readonly ip: Ip; readonly port: number };

/** "10.0.0.1:80" or "[::1]:80". */
export const formatSocketAddr = (a: SocketAddr): string => (isV4(a.ip) ? `${a.ip}:${a.port}` : `[${a.ip}]:${a.port}`);

/** A decimal port from 1 to 65535 without sign or leading zeros. */
export const parsePort = (text: string): Result<number> =>
  /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65535 ? ok(Number(text)) : err(`${JSON.stringify(text)} is not a port`);

export type HostPort = { readonly host: string; readonly port: number };

/** Splits "host:port" or "[v6]:port"; the host is not looked at further. */
export const parseHostPort = (text: string): Result<HostPort> => {
  const m = /^(?:\[([^\]]*)\]|([^:[\]]+)):(\d+)$/.exec(text);
  const port = parsePort(m?.[3] ?? "");
  const host = m?.[1] ?? m?.[2];
  if (host === undefined || !port.ok) return err(`${JSON.stringify(text)} is not host:port`);
  if (m?.[1] !== undefined && !parseIp(host).ok) return err(`${JSON.stringify(text)} is not host:port`);
  return ok({ host, port: port.value });
};

export const parseSocketAddr = (text: string): Result<SocketAddr> => {
  const hp = parseHostPort(text);
  const ip = hp.ok ? parseIp(hp.value.host) : hp;
  return hp.ok && ip.ok ? ok({ ip: ip.value, port: hp.value.port }) : err(`${JSON.stringify(text)} is not ip:port`);
};

/** The on-demand resource name and index key of an address on a network: "network/ip". */
export const addressKey = (network: string, ip: Ip): string => `${network}/${ip}`;
