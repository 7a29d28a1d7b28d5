// Which content do the bytes of a chunked body carry? (RFC 9112 section 7.1)

import { safeTrailers } from "../http/fields.ts";
import type { HeaderFields } from "../http/message.ts";
import { HEAD_LIMITS, type HeadLimits, parseFields } from "./head.ts";

export type ChunkedStep =
  | { readonly kind: "data"; readonly data: Buffer; readonly rest: Buffer }
  | { readonly kind: "more" }
  | { readonly kind: "end"; readonly trailers: HeaderFields; readonly rest: Buffer }
  | { readonly kind: "bad"; readonly reason: string };

export type ChunkedDecoder = {
  /** The next piece in the bytes. Call again with `rest` after "data", with new bytes after "more", not after "end" or "bad". */
  step(chunk: Buffer): ChunkedStep;
};

const MORE: ChunkedStep = { kind: "more" };
const bad = (reason: string): ChunkedStep => ({ kind: "bad", reason });
const SIZE_LINE_LIMIT = 4096;
const SIZE = /^([0-9A-Fa-f]{1,13})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;

/** "size" lines, then data, then the line end after it, then trailers. */
export const chunkedDecoder = (limits: HeadLimits = HEAD_LIMITS): ChunkedDecoder => {
  let state: "size" | "data" | "data-end" | "trailers" = "size";
  let left = 0;
  let line = "";
  let trailerBytes = 0;
  const trailerLines: string[] = [];

  /** A whole line without its CRLF and what follows, or undefined when it has not all come; an LF without CR is an error. */
  const takeLine = (chunk: Buffer, limit: number): { text: string; rest: Buffer } | ChunkedStep => {
    const lf = chunk.indexOf(10);
    line += chunk.toString("latin1", 0, lf < 0 ? chunk.length : lf + 1);
    if (line.length > limit) return bad("a line of the chunked body is too long");
    const early = line.indexOf("\r");
    if (early >= 0 && early < line.length - (lf < 0 ? 1 : 2)) return bad("a CR stands alone in the chunked body");
    if (lf < 0) return MORE;
    if (!line.endsWith("\r\n")) return bad("a line of the chunked body ends in LF without CR");
    const text = line.slice(0, -2);
    line = "";
    return { text, rest: chunk.subarray(lf + 1) };
  };

  const onSize = (chunk: Buffer): ChunkedStep => {
    const taken = takeLine(chunk, SIZE_LINE_LIMIT);
    if ("kind" in taken) return taken;
    const size = SIZE.exec(taken.text)?.[1];
    if (size === undefined) return bad("a chunk size cannot be read");
    left = Number.parseInt(size, 16);
    state = left === 0 ? "trailers" : "data";
    return step(taken.rest);
  };
  const onData = (chunk: Buffer): ChunkedStep => {
    const data = chunk.length > left ? chunk.subarray(0, left) : chunk;
    left -= data.length;
    if (left === 0) state = "data-end";
    return { kind: "data", data, rest: chunk.subarray(data.length) };
  };
  const onDataEnd = (chunk: Buffer): ChunkedStep => {
    const taken = takeLine(chunk, 2);
    if ("kind" in taken) return taken;
    if (taken.text !== "") return bad("a chunk is longer than its size");
    state = "size";
    return step(taken.rest);
  };
  const onTrailers = (chunk: Buffer): ChunkedStep => {
    const taken = takeLine(chunk, limits.bytes);
    if ("kind" in taken) return taken;
    trailerBytes += taken.text.length;
    if (trailerBytes > limits.bytes) return bad("the trailers are too large");
    if (taken.text !== "") {
      trailerLines.push(taken.text);
      if (trailerLines.length > limits.fields) return bad("there are too many trailers");
      return step(taken.rest);
    }
    const fields = parseFields(trailerLines, limits);
    return "kind" in fields ? bad(fields.reason) : { kind: "end", trailers: safeTrailers(fields), rest: taken.rest };
  };
  const step = (chunk: Buffer): ChunkedStep => {
    if (chunk.length === 0) return MORE;
    switch (state) {
      case "size":
        return onSize(chunk);
      case "data":
        return onData(chunk);
      case "data-end":
        return onDataEnd(chunk);
      case "trailers":
        return onTrailers(chunk);
    }
  };
  return { step };
};
