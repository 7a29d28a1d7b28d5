// How are the messages between the CNI agent and ztunnel written and read? (istio.workload.zds; one message per packet)

import { parseIp } from "../addr/ip.ts";
import { codecOf } from "../proto/schema.ts";
import { allOf, err, mapOk, ok, type Result } from "../runtime/result.ts";
import { at, each, oneofCase, readName } from "./read.ts";
import { type PodDns, ZDS_EXTENSIONS, type ZdsAck, type ZdsHello, type ZdsRequest, type ZdsWorkload } from "./types.ts";

type WireDns = { policy: string; searches: readonly string[]; nameservers: readonly string[] };
type WireInfo = { name: string; namespace: string; serviceAccount: string; ambitDns?: WireDns | null };
type WireRequest = {
  add?: { uid: string; workloadInfo?: WireInfo | null } | null;
  del?: { uid: string } | null;
  snapshotSent?: object | null;
  keep?: { uid: string } | null;
  ambitTerminating?: { uid: string } | null;
};

const hellos = codecOf<{ version: number; ambitUnderstands: readonly string[] }>("istio.workload.zds.ZdsHello");
const requests = codecOf<WireRequest>("istio.workload.zds.WorkloadRequest");
const responses = codecOf<{ ack?: ZdsAck | null }>("istio.workload.zds.WorkloadResponse");

const V1 = 1;

export const encodeZdsHello = (m: ZdsHello): Uint8Array => hellos.encode({ version: V1, ambitUnderstands: m.understands });

export const decodeZdsHello = (bytes: Uint8Array): Result<ZdsHello> => {
  const m = hellos.decode(bytes);
  if (!m.ok) return m;
  if (m.value.version !== V1) return err(`ZdsHello.version: ${m.value.version} is not a version we speak (1)`);
  const said = m.value.ambitUnderstands;
  // What a later ztunnel understands besides is nothing we would say.
  return ok({ version: "V1", understands: ZDS_EXTENSIONS.filter((e) => said.includes(e)) });
};

const writeInfo = ({ dns, ...who }: ZdsWorkload): WireInfo => (dns === undefined ? who : { ...who, ambitDns: dns });

const POLICIES: readonly PodDns["policy"][] = ["ClusterFirst", "Default", "None"];

const readDns = (m: WireDns): Result<PodDns> => {
  const policy = POLICIES.find((p) => p === m.policy);
  if (policy === undefined) return err(`policy: ${JSON.stringify(m.policy)} is not one of ${POLICIES.join(", ")}`);
  return mapOk(each("nameservers", m.nameservers, parseIp), (nameservers) => ({ policy, searches: m.searches, nameservers }));
};

const writeRequest = (m: ZdsRequest): WireRequest => {
  switch (m.kind) {
    case "add":
      return { add: { uid: m.uid, workloadInfo: writeInfo(m.workload) } };
    case "del":
      return { del: { uid: m.uid } };
    case "keep":
      return { keep: { uid: m.uid } };
    case "snapshot-sent":
      return { snapshotSent: {} };
    case "terminating":
      return { ambitTerminating: { uid: m.uid } };
  }
};

/** Both ends read a message into so many bytes, Istio's too. */
const MAX_BYTES = 1024;

/** What is told of a pod's DNS is left behind, first its search domains, where the message would not fit: the pod matters more. */
export const encodeZdsRequest = (m: ZdsRequest): Uint8Array => {
  const bytes = requests.encode(writeRequest(m));
  if (bytes.length <= MAX_BYTES || m.kind !== "add" || m.workload.dns === undefined) return bytes;
  const { dns, ...who } = m.workload;
  return encodeZdsRequest({ ...m, workload: dns.searches.length === 0 ? who : { ...who, dns: { ...dns, searches: [] } } });
};

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
      dns: info.ambitDns ? at("workload_info.ambit_dns", readDns(info.ambitDns)) : ok(undefined),
    }),
    ({ uid, workload, dns }) => ({ kind: "add", uid, workload: dns === undefined ? workload : { ...workload, dns } }),
  );
};

export const decodeZdsRequest = (bytes: Uint8Array): Result<ZdsRequest> => {
  const m = requests.decode(bytes);
  if (!m.ok) return m;
  const which = oneofCase("WorkloadRequest.payload", m.value, ["add", "del", "snapshotSent", "keep", "ambitTerminating"]);
  if (!which.ok) return which;
  const { add, del, keep, ambitTerminating } = m.value;
  if (add) return at("WorkloadRequest", readAdd(add));
  if (del) return mapOk(readName("WorkloadRequest.del.uid", del.uid), (uid) => ({ kind: "del", uid }));
  if (keep) return mapOk(readName("WorkloadRequest.keep.uid", keep.uid), (uid) => ({ kind: "keep", uid }));
  if (ambitTerminating)
    return mapOk(readName("WorkloadRequest.ambit_terminating.uid", ambitTerminating.uid), (uid) => ({ kind: "terminating", uid }));
  return ok({ kind: "snapshot-sent" });
};

export const encodeZdsAck = (m: ZdsAck): Uint8Array => responses.encode({ ack: { error: m.error } });

export const decodeZdsAck = (bytes: Uint8Array): Result<ZdsAck> => {
  const m = responses.decode(bytes);
  if (!m.ok) return m;
  return m.value.ack ? ok({ error: m.value.ack.error }) : err("WorkloadResponse.payload is empty");
};
