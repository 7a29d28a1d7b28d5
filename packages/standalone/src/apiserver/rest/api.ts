// What do the request handlers share?

import type { KeyObject } from "node:crypto";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { User } from "../auth/user.ts";
import type { Registry } from "../registry/registry.ts";
import type { WriteEnv } from "../registry/types.ts";
import type { Store } from "../storage/store.ts";

export type Log = (event: string, fields: { readonly [key: string]: unknown }) => void;

export type Api = {
  readonly store: Store;
  readonly registry: Registry;
  readonly world: World;
  readonly log: Log;
  readonly tokenKey: KeyObject;
  /** What a write decides on: the store as of this moment. */
  writeEnv(): WriteEnv;
  readonly bookmarkMs: number;
  /** Aborts when the server stops: long requests end then. */
  readonly stopping: AbortSignal;
};

/** One HTTP request, whichever HTTP version brought it. */
export type Exchange = {
  readonly method: string;
  readonly url: URL;
  readonly user: User;
  header(name: string): string | undefined;
  /** The whole body; throws 413 when it is too long. */
  body(): Promise<Buffer>;
  /** Answers with a whole text. */
  send(code: number, text: string, headers?: { readonly [name: string]: string }): void;
  /** Answers with bytes. */
  sendBytes(code: number, bytes: Uint8Array, headers: { readonly [name: string]: string }): void;
  /** Starts an answer whose body is streamed. */
  stream(code: number, headers: { readonly [name: string]: string }): Outgoing;
  /** Aborts when the client has gone or the server stops. */
  readonly signal: AbortSignal;
  /** Text for a `Warning:` header of the answer (RFC 9111 §5.5 code 299, as Kubernetes sends it). */
  warn(text: string): void;
};

export type Outgoing = {
  write(chunk: string | Uint8Array): boolean;
  backlog(): number;
  drained(): Promise<void>;
  end(): void;
  abort(): void;
};
