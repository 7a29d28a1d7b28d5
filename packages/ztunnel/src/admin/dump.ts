// What is ztunnel's whole state, as `istioctl ztunnel-config` and `ambit ztunnel-config` read it? (/config_dump, ambient-l4 section 6.3)

import { formatSocketAddr } from "@ambit/shared/addr/socket.ts";
import type { CertState } from "@ambit/shared/ca/types.ts";
import { dumpCertificate } from "@ambit/shared/proxy/dump.ts";
import { type ConfigDump, type DumpWorkloadState, dumpPolicy, dumpService, dumpWorkload } from "@ambit/shared/state/config-dump.ts";
import type { MeshStore } from "@ambit/shared/state/store.ts";
import { serviceKey } from "@ambit/shared/state/types.ts";
import type { ServedPod } from "../inpod/run.ts";

const dumpPod = ({ who, proxy }: ServedPod): DumpWorkloadState => ({
  state: proxy === undefined ? "Pending" : "Up",
  connections: {
    inbound: (proxy?.pod.inbound.list() ?? []).map(({ info }) => ({
      src: formatSocketAddr(info.from),
      originalDst: formatSocketAddr(info.to),
      actualDst: formatSocketAddr(info.to),
      protocol: info.protocol,
    })),
    outbound: (proxy?.pod.outbound.list() ?? []).map(({ info }) => ({
      src: formatSocketAddr(info.from),
      originalDst: formatSocketAddr(info.originalDst),
      actualDst: formatSocketAddr(info.actualDst),
      protocol: info.protocol,
    })),
  },
  info: { name: who.name, namespace: who.namespace, serviceAccount: who.serviceAccount },
});

export type DumpSources = {
  readonly store: MeshStore;
  readonly certificates: readonly CertState[];
  readonly pods: readonly ServedPod[];
  readonly config: Readonly<Record<string, unknown>>;
  readonly version: string;
};

/** Services that workloads name and that have not arrived, with those workloads. */
const stagedServices = (store: MeshStore): Readonly<Record<string, readonly string[]>> => {
  const staged = new Map<string, string[]>();
  for (const w of store.workloads())
    for (const key of Object.keys(w.services))
      if (store.view.service(key) === undefined) staged.set(key, [...(staged.get(key) ?? []), w.uid]);
  return Object.fromEntries(staged);
};

export const configDump = ({ store, certificates, pods, config, version }: DumpSources): ConfigDump => ({
  workloads: [...store.workloads()].map(dumpWorkload),
  services: [...store.services()].map((s) => dumpService(s, store.view.endpoints(serviceKey(s)))),
  policies: [...store.policies()].map(dumpPolicy),
  stagedServices: stagedServices(store),
  staticConfig: {},
  version: { version, component: "ztunnel" },
  config,
  certificates: certificates.map(dumpCertificate),
  workloadState: Object.fromEntries(pods.map((p) => [p.uid, dumpPod(p)])),
});
