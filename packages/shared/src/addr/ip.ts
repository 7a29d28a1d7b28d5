// What is an IP address: parse, print, compare, to and from bytes?

import { err, ok, type Result } from "../runtime/result.ts";

declare const ipBrand: unique symbol;
/** Canonical text of an address: dotted IPv4, or IPv6 as RFC 5952 prints it. v4-mapped IPv6 is always turned into IPv4. Equal addresses are equal strings. */
export type Ip = string & { readonly [ipBrand]: true };

// A leading zero is refused: some readers take it for octal (RFC 6943 section 3.1.1). So what matches is canonical as it stands.
const OCTET = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]\\d|\\d)";
const V4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);

const v4Bytes = (text: string): number[] | undefined => (V4.test(text) ? text.split(".").map(Number) : undefined);

const groups = (text: string): number[] | undefined => {
  if (text === "") return [];
  const out: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (i === parts.length - 1 && part.includes(".")) {
      const v4 = v4Bytes(part);
      if (v4 === undefined) return undefined;
      const [a = 0, b = 0, c = 0, d = 0] = v4;
      out.push((a << 8) | b, (c << 8) | d);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) out.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return out;
};

const v6Groups = (text: string): number[] | undefined => {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = groups(halves[0] ?? "");
  if (head === undefined) return undefined;
  if (halves.length === 1) return head.length === 8 ? head : undefined;
  const tail = groups(halves[1] ?? "");
  if (tail === undefined || head.length + tail.length > 7) return undefined;
  // Only the last group of the whole address may be dotted.
  if ((halves[0] ?? "").includes(".")) return undefined;
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
};

const longestZeroRun = (g: readonly number[]): { at: number; length: number } => {
  let best = { at: -1, length: 1 }; // a single zero group is not shortened (RFC 5952 section 4.2.2)
  for (let i = 0; i < 8; i++) {
    let n = 0;
    while (i + n < 8 && g[i + n] === 0) n++;
    if (n > best.length) best = { at: i, length: n };
    if (n > 0) i += n - 1;
  }
  return best;
};

const printV6 = (g: readonly number[]): string => {
  const hex = g.map((n) => n.toString(16));
  const run = longestZeroRun(g);
  if (run.at < 0) return hex.join(":");
  return `${hex.slice(0, run.at).join(":")}::${hex.slice(run.at + run.length).join(":")}`;
};

const isMapped = (g: readonly number[]): boolean => g.slice(0, 5).every((n) => n === 0) && g[5] === 0xffff;

const fromGroups = (g: readonly number[]): Ip => {
  const [, , , , , , hi = 0, lo = 0] = g;
  if (isMapped(g)) return `${hi >> 8}.${hi & 255}.${lo >> 8}.${lo & 255}` as Ip;
  return printV6(g) as Ip;
};

/** Parses IPv4 or IPv6 text (no zone, no brackets) into canonical form; v4-mapped IPv6 becomes IPv4. */
export const parseIp = (text: string): Result<Ip> => {
  if (V4.test(text)) return ok(text as Ip);
  const g = text.includes(":") ? v6Groups(text) : undefined;
  return g === undefined ? err(`${JSON.stringify(text)} is not an IP address`) : ok(fromGroups(g));
};

/** 4 or 16 bytes in network order to an address. */
export const ipFromBytes = (bytes: Uint8Array): Result<Ip> => {
  if (bytes.length === 4) return ok(Array.from(bytes).join(".") as Ip);
  if (bytes.length !== 16) return err(`an IP address has 4 or 16 bytes, not ${bytes.length}`);
  const g = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  return ok(fromGroups(g));
};

/** The address in network order: 4 bytes for IPv4, 16 for IPv6. */
export const ipBytes = (ip: Ip): Uint8Array => {
  const v4 = v4Bytes(ip);
  if (v4 !== undefined) return Uint8Array.from(v4);
  return Uint8Array.from((v6Groups(ip) ?? []).flatMap((n) => [n >> 8, n & 255]));
};

export const isV4 = (ip: Ip): boolean => !ip.includes(":");

/** 127.0.0.0/8 or ::1. */
export const isLoopback = (ip: Ip): boolean => (isV4(ip) ? ip.startsWith("127.") : ip === "::1");
