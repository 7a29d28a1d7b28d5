// What does Node's TCP handle offer, below its streams? (it has no public name; lib/internal/stream_base_commons.js is its user)

import type { Socket } from "node:net";

/** `Owner` is whom its callbacks are for. */
export type Handle<Owner> = {
  onread: (this: Handle<Owner>, nothing: undefined) => Buffer | undefined;
  reading: boolean;
  readonly writeQueueSize: number;
  readStart(): number;
  readStop(): number;
  useUserBuffer(buffer: Buffer): void;
  writeBuffer(request: WriteRequest<Owner>, data: Buffer): number;
  writev(request: WriteRequest<Owner>, chunks: readonly Buffer[], allBuffers: true): number;
  shutdown(request: ShutdownRequest<Owner>): number;
  setNoDelay(on: boolean): number;
  close(): void;
  reset(): number;
  [OWNER]: Owner;
};
export type WriteRequest<Owner> = {
  oncomplete: (this: WriteRequest<Owner>, status: number) => void;
  of: Owner | undefined;
  data: readonly Buffer[] | undefined;
};
export type ShutdownRequest<Owner> = { oncomplete: (this: ShutdownRequest<Owner>) => void; of: Owner };
export type StreamWrap = {
  readonly WriteWrap: new <Owner>() => WriteRequest<Owner>;
  readonly ShutdownWrap: new <Owner>() => ShutdownRequest<Owner>;
  readonly kReadBytesOrError: number;
  readonly kLastWriteWasAsync: number;
  readonly streamBaseState: Int32Array;
};

export const OWNER: unique symbol = Symbol("owner of a handle");

const isStreamWrap = (found: unknown): found is StreamWrap => {
  const wrap = found as Partial<StreamWrap>;
  return typeof wrap.WriteWrap === "function" && typeof wrap.ShutdownWrap === "function" && wrap.streamBaseState !== undefined;
};
/** undefined where this Node gives it out no more: sockets are then used as streams. */
export const streamWrap: StreamWrap | undefined = (() => {
  try {
    const found: unknown = (process as unknown as { binding(name: string): unknown }).binding("stream_wrap");
    return isStreamWrap(found) ? found : undefined;
  } catch {
    return undefined; // ERR_INVALID_MODULE: not there
  }
})();

const PARTS = ["readStart", "readStop", "useUserBuffer", "writeBuffer", "writev", "shutdown", "setNoDelay", "close", "reset"] as const;
const isHandle = <Owner>(h: unknown): h is Handle<Owner> =>
  typeof h === "object" && h !== null && PARTS.every((p) => typeof Reflect.get(h, p) === "function");

type Internals = { _handle: unknown };

/** Takes the handle off the socket, which has none then. undefined when it is no plain TCP socket of this Node. Call it with nothing of the socket's being written. */
export const detach = <Owner>(socket: Socket): { readonly handle: Handle<Owner>; readonly early: readonly Buffer[] } | undefined => {
  const inside = socket as unknown as Internals;
  const handle = inside._handle;
  if (!isHandle<Owner>(handle)) return undefined;
  handle.readStop();
  const early: Buffer[] = [];
  for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) early.push(chunk);
  inside._handle = null;
  // Else the handle would keep the socket.
  for (const key of Object.getOwnPropertySymbols(handle)) if (key.description === "owner_symbol") Reflect.set(handle, key, undefined);
  return { handle, early };
};
