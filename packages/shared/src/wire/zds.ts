// How are the messages between the CNI agent and ztunnel written and read? (istio.workload.zds; one message per packet)

import type { Result } from "../runtime/result.ts";
import type { ZdsAck, ZdsHello, ZdsRequest } from "./types.ts";

export const encodeZdsHello = (_m: ZdsHello): Uint8Array => {
  throw new Error("not written yet");
};
export const decodeZdsHello = (_bytes: Uint8Array): Result<ZdsHello> => {
  throw new Error("not written yet");
};
export const encodeZdsRequest = (_m: ZdsRequest): Uint8Array => {
  throw new Error("not written yet");
};
export const decodeZdsRequest = (_bytes: Uint8Array): Result<ZdsRequest> => {
  throw new Error("not written yet");
};
export const encodeZdsAck = (_m: ZdsAck): Uint8Array => {
  throw new Error("not written yet");
};
export const decodeZdsAck = (_bytes: Uint8Array): Result<ZdsAck> => {
  throw new Error("not written yet");
};
