// How are the messages between the CNI agent and ztunnel written and read? (istio.workload.zds; one message per packet)

import { codecOf } from "../proto/schema.ts";
import { allOf, err, mapOk, ok, type Result } from "../runtime/result.ts";
import { at, oneofCase, readName } from "./read.ts";
import type { ZdsAck, ZdsHello, ZdsRequest } from "./types.ts";

type WireInfo = { name: string; namespace: string; serviceAccount: string };
type WireRequest = {
  add?: { uid: string; workloadInfo?: WireInfo | null } | null;
  del?: { uid: string } | null;
  snapshotSent?: object | null;
  keep?: { uid: string } | null;
};

const hellos = codecOf<{ version: number }>("istio.workload.zds.ZdsHello");
const requests = codecOf<WireRequest>("istio.workload.zds.WorkloadRequest");
const responses = codecOf<{ ack?: ZdsAck | null }>("istio.workload.zds.WorkloadResponse");

const V1 = 1;

export const encodeZdsHello = (_m: ZdsHello): Uint8Array => hellos.encode({ version: V1 });

export const decodeZdsHello = (bytes: Uint8Array): Result<ZdsHello> => {
  const m = hellos.decode(bytes);
  if (!m.ok) return m;
  return m.value.version === V1 ? ok({ version: "V1" }) : err(`ZdsHello.version: ${m.value.version} is not a version we speak (1)`);
};

const writeRequest = (m: ZdsRequest): WireRequest => {
  switch (m.kind) {
    case "add":
      return { add: { uid: m.uid, workloadInfo: { ...m.workload } } };
    case "del":
      return { del: { uid: m.uid } };
    case "keep":
      return { keep: { uid: m.uid } };
    case "snapshot-sent":
      return { snapshotSent: {} };
  }
};

export const encodeZdsRequest = (m: ZdsRequest): Uint8Array => requests.encode(writeRequest(m));

const readAdd = (add: NonNullable<WireRequest["add"]>): Result<ZdsRequest> => {
  const info = add.workloadInfo;
  if (!info) return err("add.workload_info is missing");
  return mapOk(
    allOf({
      uid: readName("uid", add.uid),
      workload: allOf({
        name: readName("workload_info.name", info.name),
        namespace: readName("workload_info.namespace", info.namespace),
        serviceAccount: readName("workload_info.service_account", info.serviceAccount),
      }),
    }),
    (fields) => ({ kind: "add", ...fields }),
  );
};

export const decodeZdsRequest = (bytes: Uint8Array): Result<ZdsRequest> => {
  const m = requests.decode(bytes);
  if (!m.ok) return m;
  const which = oneofCase("WorkloadRequest.payload", m.value, ["add", "del", "snapshotSent", "keep"]);
  if (!which.ok) return which;
  const { add, del, keep } = m.value;
  if (add) return at("WorkloadRequest", readAdd(add));
  if (del) return mapOk(readName("WorkloadRequest.del.uid", del.uid), (uid) => ({ kind: "del", uid }));
  if (keep) return mapOk(readName("WorkloadRequest.keep.uid", keep.uid), (uid) => ({ kind: "keep", uid }));
  return ok({ kind: "snapshot-sent" });
};

export const encodeZdsAck = (m: ZdsAck): Uint8Array => responses.encode({ ack: { error: m.error } });

export const decodeZdsAck = (bytes: Uint8Array): Result<ZdsAck> => {
  const m = responses.decode(bytes);
  if (!m.ok) return m;
  return m.value.ack ? ok({ error: m.value.ack.error }) : err("WorkloadResponse.payload is empty");
};
