// What is an HTTP message to the layers, whatever version carried it?

import type { ByteStream } from "../bytes/stream.ts";

/** Lower-case name, value without outer white space. */
export type HeaderField = readonly [name: string, value: string];
/** In the order of the wire; a name may repeat. */
export type HeaderFields = readonly HeaderField[];

/** A message's content, pulled by one reader: nothing is read before it is asked for. */
export type Body = {
  /** Bytes in all, when known before reading; 0: there is none. */
  readonly length: number | undefined;
  /** The next piece; undefined at the end. Rejects with a MeshError when the sender broke off. */
  read(): Promise<Buffer | undefined>;
  /** Complete once read() gave undefined. */
  trailers(): HeaderFields;
  /** Nobody will read further. */
  cancel(): void;
};

export type HttpVersion = "HTTP/1.0" | "HTTP/1.1" | "HTTP/2";

export type HttpRequest = {
  readonly method: string;
  readonly scheme: string;
  /** The Host header or :authority. */
  readonly authority: string;
  /** Path with query, or "*". */
  readonly path: string;
  /** Without Host and without hop-by-hop fields. */
  readonly headers: HeaderFields;
  readonly body: Body;
  readonly version: HttpVersion;
  /** The protocol asked for by Upgrade ("websocket"); undefined for a plain request. */
  readonly upgrade: string | undefined;
};

export type HttpResponse = {
  readonly status: number;
  readonly headers: HeaderFields;
  readonly body: Body;
  /** Set with status 101: from here on the connection carries the other protocol. */
  readonly upgraded?: ByteStream;
  /** Set with `upgraded`: both sides are cut when it aborts. */
  readonly until?: AbortSignal;
};

/** How an exchange ended, and what it cost on the caller's side in bytes with heads. */
export type ExchangeEnd = { readonly failure: Error | undefined };

/** Bytes from and to the caller, content and heads apart; final once the exchange has ended. */
export type Counts = { received: number; sent: number; readonly receivedHead: number; sentHead: number };

/** One request on a caller's connection, as its codec hands it over. */
export type Exchange = {
  readonly request: HttpRequest;
  /** Aborts when the caller is gone. */
  readonly signal: AbortSignal;
  /** Sends an interim (1xx) answer. */
  interim(status: number, headers: HeaderFields): void;
  /** Resolves once, when the answer has left whole or cannot any more. */
  readonly ended: Promise<ExchangeEnd>;
  readonly counts: Counts;
};

/** Answers an exchange; never rejects. */
export type Serve = (exchange: Exchange) => Promise<HttpResponse>;

const NONE: HeaderFields = [];

export const emptyBody: Body = {
  length: 0,
  read: async () => undefined,
  trailers: () => NONE,
  cancel: () => undefined,
};

/** A body that is already here. */
export const bufferBody = (content: Buffer): Body => {
  let left: Buffer | undefined = content.length === 0 ? undefined : content;
  return {
    length: content.length,
    read: async () => {
      const chunk = left;
      left = undefined;
      return chunk;
    },
    trailers: () => NONE,
    cancel: () => {
      left = undefined;
    },
  };
};

/** An answer of our own, as plain text. */
export const textResponse = (status: number, text: string, headers: HeaderFields = []): HttpResponse => {
  const content = Buffer.from(text, "utf8");
  return {
    status,
    headers: [...headers, ["content-type", "text/plain"], ["content-length", String(content.length)]],
    body: bufferBody(content),
  };
};
