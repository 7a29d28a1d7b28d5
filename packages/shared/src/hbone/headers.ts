// Which headers does a CONNECT carry: baggage, forwarded, traceparent? (ambient-l4 section 1.7)

import { formatSocketAddr, parseSocketAddr, type SocketAddr } from "../addr/socket.ts";
import type { WorkloadType } from "../state/types.ts";

/** Who a workload is, in words; "" where not known. */
export type Baggage = {
  readonly clusterId: string;
  readonly namespace: string;
  readonly workloadType: WorkloadType;
  readonly workloadName: string;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly region: string;
  readonly zone: string;
};

const WORKLOAD_KEY: Readonly<Record<WorkloadType, string>> = {
  DEPLOYMENT: "k8s.deployment.name",
  POD: "k8s.pod.name",
  JOB: "k8s.job.name",
  CRONJOB: "k8s.cronjob.name",
};
const TYPE_OF = new Map(Object.entries(WORKLOAD_KEY).map(([type, key]) => [key, type as WorkloadType]));

/** No honest header is larger; what is past it is not read. */
const MAX_BAGGAGE = 8192;

/** What W3C Baggage lets stand in a value; the rest is percent-encoded. */
const escapeValue = (v: string): string => v.replace(/[^!#$&'()*+./0-9:<=>?@A-Z[\]^_`a-z{|}~-]/gu, (c) => encodeURIComponent(c));

const unescapeValue = (v: string): string => {
  try {
    return decodeURIComponent(v);
  } catch {
    // A stray "%": the peer did not encode it, so it stands for itself.
    return v;
  }
};

/** Empty fields are left out; "" when all are. */
export const formatBaggage = (b: Baggage): string =>
  (
    [
      ["k8s.cluster.name", b.clusterId],
      ["k8s.namespace.name", b.namespace],
      [WORKLOAD_KEY[b.workloadType], b.workloadName],
      ["service.name", b.canonicalName],
      ["service.version", b.canonicalRevision],
      ["cloud.region", b.region],
      ["cloud.availability_zone", b.zone],
    ] as const
  )
    .flatMap(([key, value]) => (value === "" ? [] : [`${key}=${escapeValue(value)}`]))
    .join(",");

const SIMPLE: Readonly<Record<string, "clusterId" | "namespace" | "canonicalName" | "canonicalRevision" | "region" | "zone">> = {
  "k8s.cluster.name": "clusterId",
  "k8s.namespace.name": "namespace",
  "service.name": "canonicalName",
  "service.version": "canonicalRevision",
  "cloud.region": "region",
  "cloud.availability_zone": "zone",
};

const fieldsOf = (key: string, value: string): Partial<Baggage> => {
  const type = TYPE_OF.get(key);
  if (type !== undefined) return { workloadType: type, workloadName: value };
  const field = Object.hasOwn(SIMPLE, key) ? SIMPLE[key] : undefined;
  return field === undefined ? {} : { [field]: value };
};

/** What can be read of it; unknown keys are ignored. For telemetry only, never for a decision: the peer may write what it likes. */
export const parseBaggage = (text: string): Partial<Baggage> => {
  const out: Partial<Baggage> = {};
  for (const member of text.slice(0, MAX_BAGGAGE).split(",")) {
    const [pair = ""] = member.split(";");
    const eq = pair.indexOf("=");
    if (eq > 0) Object.assign(out, fieldsOf(pair.slice(0, eq).trim(), unescapeValue(pair.slice(eq + 1).trim())));
  }
  return out;
};

/** `for="ip:port";host=name`. */
export const formatForwarded = (source: SocketAddr, host?: string): string =>
  `for="${formatSocketAddr(source)}"${host === undefined || host === "" ? "" : `;host=${host}`}`;

/** The first element's "for" and "host" (RFC 7239); what cannot be read is left out. For telemetry only. */
export const parseForwarded = (text: string): { readonly source?: SocketAddr; readonly host?: string } => {
  const out: { source?: SocketAddr; host?: string } = {};
  const [first = ""] = text.slice(0, MAX_BAGGAGE).split(",");
  for (const m of first.matchAll(/(?:^|;)\s*([A-Za-z]+)=(?:"([^"]*)"|([^;"]*))/g)) {
    const value = m[2] ?? m[3] ?? "";
    const source = m[1]?.toLowerCase() === "for" ? parseSocketAddr(value) : undefined;
    if (source?.ok) out.source = source.value;
    if (m[1]?.toLowerCase() === "host" && value !== "") out.host = value;
  }
  return out;
};

const HEX = Array.from({ length: 256 }, (_, n) => n.toString(16).padStart(2, "0"));

const hex = (digits: number, random: () => number): string => {
  let out = "";
  while (out.length < digits) {
    const n = Math.floor(random() * 0x10000);
    out += `${HEX[n >> 8]}${HEX[n & 0xff]}`;
  }
  return out;
};

/** A new trace, not sampled, from uniform numbers in [0, 1); never an all-zero id, which W3C Trace Context forbids. */
export const mintTraceparent = (random: () => number): string => {
  const trace = hex(32, random);
  const span = hex(16, random);
  return `00-${/^0+$/.test(trace) ? `${trace.slice(1)}1` : trace}-${/^0+$/.test(span) ? `${span.slice(1)}1` : span}-00`;
};
