// How is a head read from a connection, without reading past it?

import type { ByteStream } from "../bytes/stream.ts";
import type { BadHead, FoundHead, HeadResult } from "./head.ts";

export type ReadHead<H> = FoundHead<H> | BadHead | { readonly kind: "end" } | { readonly kind: "cut" };

/** Reads until `parse` has its head (`begun` is called when the first bytes did not have it all): "end" when the peer ended before the first byte, "cut" when in the middle. Rejects when the connection broke. */
export const readHead = async <H>(io: ByteStream, parse: (buf: Buffer) => HeadResult<H>, begun?: () => void): Promise<ReadHead<H>> => {
  let buf = await io.read();
  if (buf === undefined) return { kind: "end" };
  for (let first = true; ; first = false) {
    const result = parse(buf);
    if (result.kind === "head") io.unread(buf.subarray(result.bytes));
    if (result.kind !== "more") return result;
    if (first) begun?.();
    const next = await io.read();
    if (next === undefined) return { kind: "cut" };
    buf = Buffer.concat([buf, next]);
  }
};
