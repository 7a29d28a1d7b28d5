// Does a CIDR block contain an address?

import { err, ok, type Result } from "../runtime/result.ts";
import { type Ip, ipBytes, ipFromBytes, isV4, parseIp } from "./ip.ts";

export type Cidr = { readonly ip: Ip; readonly bits: number; readonly bytes: Uint8Array };

/** A block from an address and a prefix length; the host bits are cleared. */
export const cidrOf = (ip: Ip, bits: number): Result<Cidr> => {
  const max = isV4(ip) ? 32 : 128;
  if (!Number.isInteger(bits) || bits < 0 || bits > max) return err(`${ip}/${bits}: the prefix length must be from 0 to ${max}`);
  const bytes = ipBytes(ip);
  for (let i = 0; i < bytes.length; i++) {
    const keep = Math.min(8, Math.max(0, bits - i * 8));
    bytes[i] = (bytes[i] ?? 0) & (0xff << (8 - keep)) & 0xff;
  }
  const masked = ipFromBytes(bytes);
  return masked.ok ? ok({ ip: masked.value, bits, bytes }) : masked;
};

/** Parses "10.0.0.0/8", "fd00::/8", or a bare address as a block of one. */
export const parseCidr = (text: string): Result<Cidr> => {
  const slash = text.indexOf("/");
  const ip = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (!ip.ok) return err(`${JSON.stringify(text)} is not an address or a CIDR block`);
  if (slash < 0) return cidrOf(ip.value, isV4(ip.value) ? 32 : 128);
  const suffix = text.slice(slash + 1);
  return /^\d{1,3}$/.test(suffix) ? cidrOf(ip.value, Number(suffix)) : err(`${JSON.stringify(text)} is not an address or a CIDR block`);
};

/** True when the address is of the block's family and shares its first `bits` bits. */
export const cidrContains = (cidr: Cidr, ip: Ip): boolean => {
  const bytes = ipBytes(ip);
  if (bytes.length !== cidr.bytes.length) return false;
  const whole = cidr.bits >> 3;
  for (let i = 0; i < whole; i++) if (bytes[i] !== cidr.bytes[i]) return false;
  const rest = cidr.bits & 7;
  return rest === 0 || ((bytes[whole] ?? 0) & (0xff << (8 - rest)) & 0xff) === cidr.bytes[whole];
};

export const formatCidr = (cidr: Cidr): string => `${cidr.ip}/${cidr.bits}`;
