// How is the client named to an application that reads the PROXY protocol? (version 2, haproxy's proxy-protocol.txt section 2.2)

import { ipBytes, isV4 } from "@ambit/shared/addr/ip.ts";
import type { ProxyHeader } from "./plan.ts";

const SIGNATURE = Uint8Array.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
const VERSION_2_PROXY = 0x21;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;
/** Istio's TLV for the SPIFFE id of the client. */
const TLV_IDENTITY = 0xd0;

/** IPv4 as a v4-mapped IPv6 address, for a header whose other end is IPv6. */
const sixteen = (bytes: Uint8Array): Uint8Array =>
  bytes.length === 16 ? bytes : Uint8Array.from([...new Array(10).fill(0), 0xff, 0xff, ...bytes]);

/** The header to write before the client's first byte. */
export const encodeProxyHeader = (h: ProxyHeader): Buffer => {
  const v4 = isV4(h.source.ip) && isV4(h.destination.ip);
  const addresses = [ipBytes(h.source.ip), ipBytes(h.destination.ip)].map((b) => (v4 ? b : sixteen(b)));
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(h.source.port, 0);
  ports.writeUInt16BE(h.destination.port, 2);
  const identity = Buffer.from(h.identity.uri);
  const tlv = Buffer.alloc(3);
  tlv.writeUInt8(TLV_IDENTITY, 0);
  tlv.writeUInt16BE(identity.length, 1);
  const body = Buffer.concat([...addresses, ports, tlv, identity]);
  const head = Buffer.alloc(4);
  head.writeUInt8(VERSION_2_PROXY, 0);
  head.writeUInt8(v4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6, 1);
  head.writeUInt16BE(body.length, 2);
  return Buffer.concat([SIGNATURE, head, body]);
};
