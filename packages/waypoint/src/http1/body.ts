// How is a body read from an HTTP/1.x connection, and written to one?

import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { ByteStream } from "../bytes/stream.ts";
import { isFieldValue, isToken } from "../http/fields.ts";
import { type Body, emptyBody, type HeaderFields } from "../http/message.ts";
import { chunkedDecoder } from "./chunked.ts";
import type { Framing } from "./head.ts";

/** Who is reading: a fault of the caller's is a 400, a fault of the backend's a 502. */
export type BodySource = {
  readonly io: ByteStream;
  readonly fault: "PROTOCOL" | "UPSTREAM_PROTOCOL";
  readonly lost: "CLIENT_GONE" | "UPSTREAM_RESET";
  /** Called once, when the last byte was read. */
  done(): void;
  /** Called when the reader gave up before the end. */
  cancelled(): void;
  /** Called with the number of bytes taken from the wire as content. */
  meter(bytes: number): void;
};

const NO_TRAILERS: HeaderFields = [];

const nextBytes = async (s: BodySource): Promise<Buffer | undefined> => {
  try {
    return await s.io.read();
  } catch (e) {
    throw e instanceof MeshError ? e : new MeshError(s.lost, "the connection broke in the middle of a body", e);
  }
};

const lengthBody = (s: BodySource, length: number): Body => {
  let left = length;
  return {
    length,
    read: async () => {
      if (left === 0) return undefined;
      const chunk = await nextBytes(s);
      if (chunk === undefined) throw new MeshError(s.lost, `the body ended ${left} bytes early`);
      const mine = chunk.length > left ? chunk.subarray(0, left) : chunk;
      if (mine.length < chunk.length) s.io.unread(chunk.subarray(mine.length));
      left -= mine.length;
      s.meter(mine.length);
      if (left === 0) s.done();
      return mine;
    },
    trailers: () => NO_TRAILERS,
    cancel: () => {
      if (left > 0) s.cancelled();
    },
  };
};

const chunkedBody = (s: BodySource): Body => {
  const decoder = chunkedDecoder();
  let trailers = NO_TRAILERS;
  let over = false;
  const read = async (): Promise<Buffer | undefined> => {
    while (!over) {
      const chunk = await nextBytes(s);
      if (chunk === undefined) throw new MeshError(s.lost, "the chunked body ended before its last chunk");
      const step = decoder.step(chunk);
      switch (step.kind) {
        case "more":
          continue;
        case "data":
          s.io.unread(step.rest);
          s.meter(step.data.length);
          return step.data;
        case "bad":
          throw new MeshError(s.fault, step.reason);
        case "end":
          s.io.unread(step.rest);
          trailers = step.trailers;
          over = true;
          s.done();
      }
    }
    return undefined;
  };
  return {
    length: undefined,
    read,
    trailers: () => trailers,
    cancel: () => {
      if (!over) s.cancelled();
    },
  };
};

const untilCloseBody = (s: BodySource): Body => {
  let over = false;
  return {
    length: undefined,
    read: async () => {
      const chunk = over ? undefined : await nextBytes(s);
      if (chunk !== undefined) {
        s.meter(chunk.length);
        return chunk;
      }
      if (!over) s.done();
      over = true;
      return undefined;
    },
    trailers: () => NO_TRAILERS,
    cancel: () => {
      if (!over) s.cancelled();
    },
  };
};

/** A body as its framing says. Without content `done` is called at once. */
export const readBody = (s: BodySource, framing: Framing): Body => {
  switch (framing.kind) {
    case "none":
      s.done();
      return emptyBody;
    case "length":
      return lengthBody(s, framing.length);
    case "chunked":
      return chunkedBody(s);
    case "until-close":
      return untilCloseBody(s);
  }
};

export type WriteFraming = "none" | "length" | "chunked" | "raw";

const trailerLines = (trailers: HeaderFields): string =>
  trailers.flatMap(([n, v]) => (isToken(n) && isFieldValue(v) ? [`${n}: ${v}\r\n`] : [])).join("");

const CHUNK_END = Buffer.from("\r\n");

/** Two writes for a small chunk cost more than one copy of it. */
const COPY_LIMIT = 8 * 1024;
const framed = (chunk: Buffer): readonly Buffer[] => {
  const size = Buffer.from(`${chunk.length.toString(16)}\r\n`, "latin1");
  return chunk.length <= COPY_LIMIT ? [Buffer.concat([size, chunk, CHUNK_END])] : [size, chunk, CHUNK_END];
};

const writeChunk = (io: ByteStream, chunk: Buffer): Promise<void> | undefined => {
  const parts = framed(chunk);
  if (parts.length > 1) io.cork();
  let wait: Promise<void> | undefined;
  for (const part of parts) wait = io.write(part);
  if (parts.length > 1) io.uncork();
  return wait;
};

/**
 * Writes a whole body, no faster than the connection takes it. Rejects when either side breaks;
 * with "length" also when the body is not as long as was promised, since the next message would be misread.
 */
export const writeBody = async (io: ByteStream, body: Body, framing: WriteFraming, meter: (bytes: number) => void): Promise<void> => {
  let written = 0;
  if (framing === "none") return;
  for (let chunk = await body.read(); chunk !== undefined; chunk = await body.read()) {
    if (chunk.length === 0) continue;
    written += chunk.length;
    if (framing === "length" && written > (body.length ?? 0))
      throw new MeshError("UPSTREAM_PROTOCOL", "the body is longer than its Content-Length");
    meter(chunk.length);
    const wait = framing === "chunked" ? writeChunk(io, chunk) : io.write(chunk);
    if (wait !== undefined) await wait;
  }
  if (framing === "length" && written < (body.length ?? 0))
    throw new MeshError("UPSTREAM_RESET", "the body is shorter than its Content-Length");
  if (framing === "chunked") await io.write(`0\r\n${trailerLines(body.trailers())}\r\n`);
};
