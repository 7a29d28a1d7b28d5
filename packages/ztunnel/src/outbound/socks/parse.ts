// What does a SOCKS 5 client ask for, and how is it answered? (RFC 1928, without authentication, CONNECT only)

import { type Ip, ipFromBytes } from "@ambit/shared/addr/ip.ts";
import type { MeshErrorCode } from "@ambit/shared/errors/codes.ts";

/** The codes of a reply (RFC 1928 section 6). */
export const REPLY = {
  succeeded: 0x00,
  failed: 0x01,
  notAllowed: 0x02,
  hostUnreachable: 0x04,
  refused: 0x05,
  commandNotSupported: 0x07,
  addressNotSupported: 0x08,
} as const;
export type ReplyCode = (typeof REPLY)[keyof typeof REPLY];

export type Greeting =
  | { readonly kind: "more" }
  /** `used`: octets of the greeting. */
  | { readonly kind: "greeting"; readonly withoutAuthentication: boolean; readonly used: number }
  | { readonly kind: "bad"; readonly detail: string };

export type Host = { readonly kind: "ip"; readonly ip: Ip } | { readonly kind: "domain"; readonly name: string };
export type Request =
  | { readonly kind: "more" }
  | { readonly kind: "connect"; readonly host: Host; readonly port: number; readonly used: number }
  | { readonly kind: "bad"; readonly code: ReplyCode; readonly detail: string };

const VERSION = 5;
const CONNECT = 1;
const IPV4 = 1;
const DOMAIN = 3;
const IPV6 = 4;

/** version, number of methods, methods (section 3). */
export const readGreeting = (bytes: Buffer): Greeting => {
  if (bytes.length < 1) return { kind: "more" };
  if (bytes[0] !== VERSION) return { kind: "bad", detail: `version ${bytes[0]} is not SOCKS 5` };
  const methods = bytes[1];
  if (methods === undefined || bytes.length < 2 + methods) return { kind: "more" };
  return { kind: "greeting", withoutAuthentication: bytes.subarray(2, 2 + methods).includes(0), used: 2 + methods };
};

/** Which method is taken: none at all, or nothing that was offered (section 3). */
export const greetingReply = (withoutAuthentication: boolean): Buffer => Buffer.from([VERSION, withoutAuthentication ? 0x00 : 0xff]);

/** Letters, digits, dots, dashes and underscores: nothing else is a host's name, and nothing else gets into a log or a query. */
const NAME = /^[a-z0-9_]([a-z0-9._-]{0,251}[a-z0-9_])?\.?$/i;

const readHost = (bytes: Buffer, length: number): Host | undefined => {
  if (bytes[3] === DOMAIN) {
    const name = bytes.subarray(5, 5 + length - 1).toString("latin1");
    return NAME.test(name) ? { kind: "domain", name: name.toLowerCase().replace(/\.$/, "") } : undefined;
  }
  const ip = ipFromBytes(bytes.subarray(4, 4 + length));
  return ip.ok ? { kind: "ip", ip: ip.value } : undefined;
};

/** How many octets the address takes; "more" when even that cannot be told yet. */
const addressLength = (bytes: Buffer): number | "more" | undefined => {
  switch (bytes[3]) {
    case IPV4:
      return 4;
    case IPV6:
      return 16;
    case DOMAIN: {
      const length = bytes[4];
      return length === undefined ? "more" : 1 + length;
    }
    default:
      return undefined;
  }
};

/** version, command, 0, address type, address, port (section 4). */
export const readRequest = (bytes: Buffer): Request => {
  if (bytes.length < 4) return { kind: "more" };
  if (bytes[0] !== VERSION) return { kind: "bad", code: REPLY.failed, detail: `version ${bytes[0]} is not SOCKS 5` };
  if (bytes[1] !== CONNECT) return { kind: "bad", code: REPLY.commandNotSupported, detail: `command ${bytes[1]} is not CONNECT` };
  const length = addressLength(bytes);
  if (length === undefined) return { kind: "bad", code: REPLY.addressNotSupported, detail: `address type ${bytes[3]} is not known` };
  if (length === "more" || bytes.length < 4 + length + 2) return { kind: "more" };
  const host = readHost(bytes, length);
  if (host === undefined) return { kind: "bad", code: REPLY.addressNotSupported, detail: "the domain is not a host's name" };
  return { kind: "connect", host, port: bytes.readUInt16BE(4 + length), used: 4 + length + 2 };
};

/** The answer to a request; where we are bound is nobody's concern (section 6). */
export const requestReply = (code: ReplyCode): Buffer => Buffer.from([VERSION, code, 0, IPV4, 0, 0, 0, 0, 0, 0]);

/** What a connection that could not be made is told as. */
export const replyFor = (code: MeshErrorCode): ReplyCode => {
  switch (code) {
    case "DENY":
    case "DENY_LATE":
    case "SELF_CALL":
      return REPLY.notAllowed;
    case "CONNECT":
      return REPLY.refused;
    case "CONNECT_TIMEOUT":
    case "NO_HEALTHY_UPSTREAM":
    case "NO_SERVICE_PORT":
    case "WAYPOINT_UNAVAILABLE":
      return REPLY.hostUnreachable;
    default:
      return REPLY.failed;
  }
};
