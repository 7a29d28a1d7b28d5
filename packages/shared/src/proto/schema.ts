// Which messages are there on the wire? (the .proto files beside this one, read as they are: no generation step)

import { readFileSync } from "node:fs";
import protobuf from "protobufjs";
import { err, ok, type Result } from "../runtime/result.ts";

const FILES = ["google", "status", "workload", "authorization", "discovery", "citadel", "zds", "waypoint"] as const;

const load = (): protobuf.Root => {
  const root = new protobuf.Root();
  for (const name of FILES) protobuf.parse(readFileSync(new URL(`./${name}.proto`, import.meta.url), "utf8"), root);
  root.resolveAll();
  return root;
};

const root = load();

/** Writes and reads one message type. M is its shape: camelCase names, numbers for enums, Uint8Array for bytes. */
export type Codec<M> = {
  encode(message: M): Uint8Array;
  /** Unknown fields are left out, as protobuf has it for messages that may grow. */
  decode(bytes: Uint8Array): Result<M>;
  /** A field that the schema does not have, at any depth, is an error: what is not understood may not be skipped. */
  decodeStrict(bytes: Uint8Array): Result<M>;
};

const unknownField = (value: unknown, path: string): string | undefined => {
  if (value === null || typeof value !== "object" || value instanceof Uint8Array) return undefined;
  if (value instanceof protobuf.Message) {
    const raw = (value as { $unknowns?: readonly Uint8Array[] }).$unknowns?.[0];
    if (raw !== undefined) return `${path} has a field that is not understood (number ${protobuf.Reader.create(raw).uint32() >>> 3})`;
  }
  for (const [name, child] of Object.entries(value)) {
    const found = unknownField(child, Array.isArray(value) ? `${path}[${name}]` : `${path}.${name}`);
    if (found !== undefined) return found;
  }
  return undefined;
};

/** The codec of the message with the full name, as in "istio.workload.Address". */
export const codecOf = <M extends object>(fullName: string): Codec<M> => {
  const type = root.lookupType(fullName);
  const label = type.name;
  const read = (bytes: Uint8Array, strict: boolean): Result<M> => {
    const reader = protobuf.Reader.create(bytes);
    reader.discardUnknown = !strict;
    let message: protobuf.Message;
    try {
      message = type.decode(reader);
    } catch (e) {
      // protobufjs reports every malformed input by throwing.
      return err(`${label}: not a valid message (${e instanceof Error ? e.message : String(e)})`);
    }
    const unknown = strict ? unknownField(message, label) : undefined;
    return unknown === undefined ? ok(message as unknown as M) : err(unknown);
  };
  return {
    encode: (message) => type.encode(message as unknown as protobuf.Message).finish(),
    decode: (bytes) => read(bytes, false),
    decodeStrict: (bytes) => read(bytes, true),
  };
};
