// What do an old and a new ztunnel say to each other about a pod's listening sockets? (one message per packet, fds beside it)

import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";

/** The first byte of every message. A later version answers this one in this one's form, or refuses it by name. */
export const VERSION = 1;
export const MAX_MESSAGE = 1_024;

/** Give me this pod's sockets, if you serve it in this namespace. */
export type Ask = { readonly uid: string; readonly dev: bigint; readonly ino: bigint };

export type Answer =
  /** The packet's fds are some of the pod's sockets; `left` more packets follow. */
  { readonly kind: "sockets"; readonly uid: string; readonly left: number } | { readonly kind: "refused"; readonly why: string };

const framed = (body: object): Buffer => Buffer.concat([Buffer.of(VERSION), Buffer.from(JSON.stringify(body))]);

const unframed = (bytes: Uint8Array): Result<Record<string, unknown>> => {
  const version = bytes[0];
  if (version !== VERSION) return err(`version ${version} of the hand-over is not one we speak (${VERSION})`);
  try {
    const body: unknown = JSON.parse(Buffer.from(bytes.subarray(1)).toString("utf8"));
    return typeof body === "object" && body !== null ? ok(body as Record<string, unknown>) : err("the message is not an object");
  } catch (e) {
    return err(`the message cannot be read: ${e instanceof Error ? e.message : String(e)}`);
  }
};

const DIGITS = /^\d{1,20}$/;

export const encodeAsk = (a: Ask): Buffer => framed({ uid: a.uid, dev: String(a.dev), ino: String(a.ino) });

export const decodeAsk = (bytes: Uint8Array): Result<Ask> => {
  const m = unframed(bytes);
  if (!m.ok) return m;
  const { uid, dev, ino } = m.value;
  if (typeof uid !== "string" || uid === "") return err("the request names no pod");
  if (typeof dev !== "string" || typeof ino !== "string" || !DIGITS.test(dev) || !DIGITS.test(ino))
    return err("the request names no network namespace");
  return ok({ uid, dev: BigInt(dev), ino: BigInt(ino) });
};

export const encodeAnswer = (a: Answer): Buffer =>
  framed(a.kind === "sockets" ? { uid: a.uid, left: a.left } : { refused: a.why.slice(0, MAX_MESSAGE / 2) });

export const decodeAnswer = (bytes: Uint8Array): Result<Answer> => {
  const m = unframed(bytes);
  if (!m.ok) return m;
  const { uid, left, refused } = m.value;
  if (typeof refused === "string") return ok({ kind: "refused", why: refused });
  if (typeof uid !== "string" || typeof left !== "number" || !Number.isInteger(left) || left < 0)
    return err("the answer names neither a pod nor a reason");
  return ok({ kind: "sockets", uid, left });
};
