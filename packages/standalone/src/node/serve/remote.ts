// What does a client give an exec or attach, whatever protocol carries it?

import type { Readable, Writable } from "node:stream";
import { finished } from "node:stream/promises";
import type { Status } from "./channels.ts";

export type Size = { readonly rows: number; readonly columns: number };

/** The client's end of an exec or attach. A stream the client did not ask for is absent. */
export type RemoteEnd = {
  readonly stdin: Readable | undefined;
  readonly stdout: Writable | undefined;
  readonly stderr: Writable | undefined;
  onResize(listener: (size: Size) => void): void;
  /** Tells the outcome, once all output is on its way, and ends the connection. */
  finish(status: Status): Promise<void>;
  /** Aborts once the client is gone. */
  readonly left: AbortSignal;
};

/** Ends the output streams; resolves when what was written to them is on its way, or they are gone. */
export const flushed = async (outputs: readonly (Writable | undefined)[]): Promise<void> => {
  await Promise.all(
    outputs.flatMap((stream) => {
      if (stream === undefined || stream.destroyed) return [];
      stream.end();
      return [finished(stream, { readable: false }).catch(() => {})]; // the client left: nobody is there to be told
    }),
  );
};
