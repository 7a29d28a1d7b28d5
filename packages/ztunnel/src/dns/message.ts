// How is a DNS query read, and an answer written, byte for byte? (RFC 1035 section 4, RFC 6891)
//
// The questions' bytes are kept as they came: they are echoed in answers, and what is not ours goes on unchanged. dns-packet,
// which reads whole messages into objects, keeps no positions and writes no compression; the tests read our answers with it.

import { type Ip, ipBytes, isV4 } from "@ambit/shared/addr/ip.ts";

const HEADER = 12;
const MAX_NAME = 255;
/** Answers without EDNS fit this (RFC 1035 section 4.2.1). */
const PLAIN_UDP = 512;
const MAX_UDP = 65_507;
export const MAX_MESSAGE = 65_535;

const QR = 0x8000;
const AA = 0x0400;
const TC = 0x0200;
const RA = 0x0080;
/** Copied from the query: recursion desired, checking disabled. */
const ECHOED = 0x0110;

const OPT = 41;
const IN = 1;
const CNAME = 5;
export const TYPE_A = 1;
export const TYPE_AAAA = 28;

export const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, BADVERS: 16 } as const;
export type Rcode = (typeof RCODE)[keyof typeof RCODE];

export type Edns = { readonly payload: number; readonly version: number; readonly flags: number };

export type Query = {
  /** The message as it came. */
  readonly bytes: Buffer;
  readonly id: number;
  /** Lower case, without the root's dot ("" is the root); undefined when a label has bytes that no host name of ours has. */
  readonly name: string | undefined;
  readonly type: number;
  readonly inInternet: boolean;
  /** Where the question ends. */
  readonly end: number;
  readonly edns: Edns | undefined;
};

export type ReadQuery =
  | { readonly kind: "query"; readonly query: Query }
  /** A query that cannot be served: it is told so. */
  | { readonly kind: "refuse"; readonly answer: Buffer; readonly why: string }
  /** No query: an answer to it could start two servers answering each other. */
  | { readonly kind: "drop"; readonly why: string };

/** The end of a name at the offset, or undefined when it does not end inside the message. Pointers end a name. */
const skipName = (bytes: Buffer, from: number): number | undefined => {
  let at = from;
  for (;;) {
    const length = bytes[at];
    if (length === undefined) return undefined;
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2 <= bytes.length ? at + 2 : undefined;
    if (length > 63) return undefined;
    at += 1 + length;
  }
};

/** A label that a host name of ours could have: printable ASCII without the dot. */
const hostLabel = (label: Buffer): boolean => label.every((b) => b > 0x20 && b < 0x7f && b !== 0x2e);

type Name = { readonly text: string | undefined; readonly end: number };

/** The name of a question, which is written out: there is nothing before it to point to. */
const readQuestionName = (bytes: Buffer): Name | undefined => {
  const labels: string[] = [];
  let readable = true;
  let at = HEADER;
  for (;;) {
    const length = bytes[at];
    if (length === undefined || length > 63 || at + 1 - HEADER > MAX_NAME) return undefined;
    if (length === 0) return { text: readable ? labels.join(".") : undefined, end: at + 1 };
    const label = bytes.subarray(at + 1, at + 1 + length);
    if (label.length < length) return undefined;
    readable &&= hostLabel(label);
    labels.push(label.toString("latin1").toLowerCase());
    at += 1 + length;
  }
};

type Tail = { readonly edns: Edns | undefined } | "malformed";

/** What follows the question: only an OPT record is looked at, and there may be one. */
const readTail = (bytes: Buffer, from: number): Tail => {
  const records = bytes.readUInt16BE(6) + bytes.readUInt16BE(8) + bytes.readUInt16BE(10);
  let at = from;
  let edns: Edns | undefined;
  for (let i = 0; i < records; i++) {
    const name = skipName(bytes, at);
    if (name === undefined || name + 10 > bytes.length) return "malformed";
    const end = name + 10 + bytes.readUInt16BE(name + 8);
    if (end > bytes.length) return "malformed";
    if (bytes.readUInt16BE(name) === OPT) {
      if (edns !== undefined) return "malformed";
      edns = { payload: bytes.readUInt16BE(name + 2), version: bytes.readUInt8(name + 5), flags: bytes.readUInt16BE(name + 6) };
    }
    at = end;
  }
  return { edns };
};

/** A header alone with the code: there is no question that could be echoed. */
const bareRefusal = (bytes: Buffer, rcode: Rcode): Buffer => {
  const out = Buffer.alloc(HEADER);
  out.writeUInt16BE(bytes.readUInt16BE(0), 0);
  out.writeUInt16BE(QR | (bytes.readUInt16BE(2) & 0x7800) | (bytes.readUInt16BE(2) & ECHOED) | rcode, 2);
  return out;
};

/** Reads one message of a client. */
export const readQuery = (bytes: Buffer): ReadQuery => {
  if (bytes.length < HEADER) return { kind: "drop", why: "shorter than a header" };
  const flags = bytes.readUInt16BE(2);
  if ((flags & QR) !== 0) return { kind: "drop", why: "an answer, not a query" };
  const refuse = (rcode: Rcode, why: string): ReadQuery => ({ kind: "refuse", answer: bareRefusal(bytes, rcode), why });
  const opcode = (flags >> 11) & 15;
  if (opcode !== 0) return refuse(RCODE.NOTIMP, `operation ${opcode} is not served`);
  if (bytes.readUInt16BE(4) !== 1) return refuse(RCODE.FORMERR, `${bytes.readUInt16BE(4)} questions in one message`);
  const name = readQuestionName(bytes);
  if (name === undefined || name.end + 4 > bytes.length) return refuse(RCODE.FORMERR, "the question cannot be read");
  const tail = readTail(bytes, name.end + 4);
  if (tail === "malformed") return refuse(RCODE.FORMERR, "a record after the question cannot be read");
  const type = bytes.readUInt16BE(name.end);
  const inInternet = bytes.readUInt16BE(name.end + 2) === IN;
  const query = { bytes, id: bytes.readUInt16BE(0), name: name.text, type, inInternet, end: name.end + 4, edns: tail.edns };
  return { kind: "query", query };
};

/** How large an answer over UDP may be: what the client says it takes, and never less than 512. */
export const udpLimit = (edns: Edns | undefined): number =>
  edns === undefined ? PLAIN_UDP : Math.min(MAX_UDP, Math.max(PLAIN_UDP, edns.payload));

const encodeName = (name: string): Buffer =>
  Buffer.concat([
    ...name.split(".").map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, "latin1")])),
    Buffer.of(0),
  ]);

const record = (owner: number, type: number, { ttl, data }: { ttl: number; data: Uint8Array }): Buffer => {
  const out = Buffer.alloc(12 + data.length);
  out.writeUInt16BE(0xc000 | owner, 0); // a pointer to a name that was written before
  out.writeUInt16BE(type, 2);
  out.writeUInt16BE(IN, 4);
  out.writeUInt32BE(ttl, 6);
  out.writeUInt16BE(data.length, 10);
  out.set(data, 12);
  return out;
};

/** The client's own EDNS size is echoed, as Istio does (at least 512), with its DNSSEC-OK flag. */
const optRecord = (edns: Edns, rcode: Rcode): Buffer => {
  const out = Buffer.alloc(11);
  out.writeUInt16BE(OPT, 1);
  out.writeUInt16BE(Math.max(PLAIN_UDP, edns.payload), 3);
  out.writeUInt8(rcode >> 4, 5);
  out.writeUInt16BE(edns.flags & 0x8000, 7);
  return out;
};

export type AnswerContent = {
  readonly rcode: Rcode;
  /** The answer is the mesh's own word. */
  readonly authoritative: boolean;
  readonly addresses?: readonly Ip[];
  /** The name that the asked one is an alias of, which owns the addresses. */
  readonly canonical?: string | undefined;
  /** Seconds that the records may be kept. */
  readonly ttl?: number;
};

/** An answer of ours within the limit: what does not fit is left out, whole records, and TC says so. */
export const encodeAnswer = (query: Query, content: AnswerContent, limit: number): Buffer => {
  const { canonical, addresses = [], ttl = 0 } = content;
  const opt = query.edns === undefined ? undefined : optRecord(query.edns, content.rcode);
  const records = canonical === undefined ? [] : [record(HEADER, CNAME, { ttl, data: encodeName(canonical) })];
  const owner = canonical === undefined ? HEADER : query.end + 12; // the CNAME's data begins after its 12 bytes
  for (const ip of addresses) records.push(record(owner, isV4(ip) ? TYPE_A : TYPE_AAAA, { ttl, data: ipBytes(ip) }));
  const room = Math.min(limit, MAX_MESSAGE) - (opt?.length ?? 0);
  const kept: Buffer[] = [];
  let size = query.end;
  for (const r of records) {
    if (size + r.length > room) break;
    size += r.length;
    kept.push(r);
  }
  const header = Buffer.alloc(HEADER);
  const asked = query.bytes.readUInt16BE(2);
  const cut = kept.length < records.length ? TC : 0;
  header.writeUInt16BE(query.id, 0);
  header.writeUInt16BE(QR | RA | (content.authoritative ? AA : 0) | cut | (asked & ECHOED) | (content.rcode & 15), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(kept.length, 6);
  header.writeUInt16BE(opt === undefined ? 0 : 1, 10);
  return Buffer.concat([header, query.bytes.subarray(HEADER, query.end), ...kept, ...(opt === undefined ? [] : [opt])]);
};

/** The same message under another id. */
export const withId = (bytes: Buffer, id: number): Buffer => {
  const out = Buffer.from(bytes);
  out.writeUInt16BE(id, 0);
  return out;
};

export const isTruncated = (answer: Buffer): boolean => (answer.readUInt16BE(2) & TC) !== 0;
export const rcodeOf = (answer: Buffer): number => answer.readUInt16BE(2) & 15;
export const answerCount = (answer: Buffer): number => answer.readUInt16BE(6);

const lower = (b: number): number => (b >= 0x41 && b <= 0x5a ? b + 0x20 : b);

/**
 * Is this the answer to our question: an answer, with the id that we chose, to the same name (whatever its case), type and class?
 * A server that could not read the question may leave it out (FORMERR, SERVFAIL, NOTIMP, REFUSED).
 */
export const answersQuestion = (answer: Buffer, asked: { readonly query: Query; readonly id: number }): boolean => {
  if (answer.length < HEADER || answer.readUInt16BE(0) !== asked.id) return false;
  if ((answer.readUInt16BE(2) & (QR | 0x7800)) !== QR) return false;
  const questions = answer.readUInt16BE(4);
  if (questions === 0) return [1, 2, 4, 5].includes(rcodeOf(answer));
  const { bytes, end } = asked.query;
  if (questions !== 1 || answer.length < end) return false;
  for (let i = HEADER; i < end - 4; i++) if (lower(answer[i] ?? 0) !== lower(bytes[i] ?? 0)) return false;
  return answer.subarray(end - 4, end).equals(bytes.subarray(end - 4, end));
};

const TYPES: ReadonlyMap<number, string> = new Map([
  [1, "A"],
  [2, "NS"],
  [5, "CNAME"],
  [6, "SOA"],
  [12, "PTR"],
  [13, "HINFO"],
  [15, "MX"],
  [16, "TXT"],
  [28, "AAAA"],
  [33, "SRV"],
  [35, "NAPTR"],
  [43, "DS"],
  [44, "SSHFP"],
  [46, "RRSIG"],
  [47, "NSEC"],
  [48, "DNSKEY"],
  [50, "NSEC3"],
  [52, "TLSA"],
  [64, "SVCB"],
  [65, "HTTPS"],
  [251, "IXFR"],
  [252, "AXFR"],
  [255, "ANY"],
  [257, "CAA"],
]);

/** The type's name; all that have none here are "UNKNOWN", so that nobody can fill the metrics with 65 536 label values. */
export const typeName = (type: number): string => TYPES.get(type) ?? "UNKNOWN";
