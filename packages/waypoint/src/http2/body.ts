// How is a body read from an HTTP/2 stream, and written to one?

import type { Http2Stream } from "node:http2";
import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { ByteStream } from "../bytes/stream.ts";
import { isFieldValue, isToken } from "../http/fields.ts";
import type { Body, HeaderFields } from "../http/message.ts";
import { readTrailers } from "./fields.ts";

export type H2Source = {
  readonly stream: Http2Stream;
  readonly io: ByteStream;
  readonly length: number | undefined;
  readonly lost: "CLIENT_GONE" | "UPSTREAM_RESET";
  /** Called with the number of content bytes taken. */
  meter(bytes: number): void;
  /** Called when the reader gave up before the end. */
  cancelled(): void;
};

const NO_TRAILERS: HeaderFields = [];

/** The stream's content, then its trailers. Make it before the first await after the headers, or trailers may be missed. */
export const readH2Body = (s: H2Source): Body => {
  let trailers = NO_TRAILERS;
  let over = false;
  s.stream.once("trailers", (_parsed: unknown, _flags: unknown, raw: readonly string[] | undefined) => {
    trailers = readTrailers(raw ?? []);
  });
  return {
    length: s.length,
    read: async () => {
      if (over) return undefined;
      let chunk: Buffer | undefined;
      try {
        chunk = await s.io.read();
      } catch (e) {
        throw e instanceof MeshError ? e : new MeshError(s.lost, `the stream was reset (code ${s.stream.rstCode ?? "unknown"})`, e);
      }
      if (chunk === undefined) over = true;
      else s.meter(chunk.length);
      return chunk;
    },
    trailers: () => trailers,
    cancel: () => {
      if (!over) s.cancelled();
    },
  };
};

/** Sends the trailers (an empty end without any) when the content is through; the stream must have been opened with waitForTrailers. */
const endWithTrailers = (stream: Http2Stream, trailers: HeaderFields): Promise<void> =>
  new Promise((resolve, reject) => {
    const safe = trailers.filter(([n, v]) => isToken(n) && isFieldValue(v));
    const onClose = (): void => reject(new MeshError("CLIENT_GONE", "the stream was reset before its trailers"));
    stream.once("close", onClose);
    stream.once("wantTrailers", () => {
      stream.off("close", onClose);
      stream.sendTrailers(Object.fromEntries(group(safe)));
      resolve();
    });
    if (stream.destroyed) onClose();
    else stream.end();
  });

/** sendTrailers takes a record; a name that repeats has a list. */
const group = (fields: HeaderFields): Map<string, string[]> => {
  const map = new Map<string, string[]>();
  for (const [n, v] of fields) map.set(n, [...(map.get(n) ?? []), v]);
  return map;
};

/** Writes a whole body and its trailers, no faster than the stream takes it. Rejects when either side breaks. */
export const writeH2Body = async (
  s: { stream: Http2Stream; io: ByteStream },
  body: Body,
  meter: (bytes: number) => void,
): Promise<void> => {
  let written = 0;
  for (let chunk = await body.read(); chunk !== undefined; chunk = await body.read()) {
    written += chunk.length;
    meter(chunk.length);
    const wait = s.io.write(chunk);
    if (wait !== undefined) await wait;
  }
  if (body.length !== undefined && written !== body.length)
    throw new MeshError("UPSTREAM_RESET", `the body has ${written} bytes, not ${body.length} as its content-length says`);
  await endWithTrailers(s.stream, body.trailers());
};
