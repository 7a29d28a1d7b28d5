// What is ztunnel's whole state, as `istioctl ztunnel-config` and `ambit ztunnel-config` read it? (/config_dump, ambient-l4 section 6.3)

import type { CertState } from "@ambit/shared/ca/types.ts";
import { dumpCertificate } from "@ambit/shared/proxy/dump.ts";
import {
  type ConfigDump,
  type DumpWorkloadState,
  dumpPolicy,
  dumpRefused,
  dumpService,
  dumpWorkload,
} from "@ambit/shared/state/config-dump.ts";
import type { MeshStore } from "@ambit/shared/state/store.ts";
import { serviceKey } from "@ambit/shared/state/types.ts";
import type { ServedPod } from "../inpod/run.ts";
import type { PodConnections } from "../thread/messages.ts";

const dumpPod = ({ uid, who, proxy }: ServedPod, threads: readonly Readonly<Record<string, PodConnections>>[]): DumpWorkloadState => ({
  state: proxy === undefined ? "Pending" : "Up",
  connections: {
    inbound: threads.flatMap((t) => t[uid]?.inbound ?? []),
    outbound: threads.flatMap((t) => t[uid]?.outbound ?? []),
  },
  info: { name: who.name, namespace: who.namespace, serviceAccount: who.serviceAccount },
});

export type DumpSources = {
  readonly store: MeshStore;
  readonly certificates: readonly CertState[];
  readonly pods: readonly ServedPod[];
  /** Each data thread's connections by pod uid. */
  readonly connections: readonly Readonly<Record<string, PodConnections>>[];
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

export const configDump = ({ store, certificates, pods, connections, config, version }: DumpSources): ConfigDump => ({
  workloads: [...store.workloads()].map(dumpWorkload),
  services: [...store.services()].map((s) => dumpService(s, store.view.endpoints(serviceKey(s)))),
  policies: [...[...store.policies()].map(dumpPolicy), ...store.refused().map(dumpRefused)],
  stagedServices: stagedServices(store),
  staticConfig: {},
  version: { version, component: "ztunnel" },
  config,
  certificates: certificates.map(dumpCertificate),
  workloadState: Object.fromEntries(pods.map((p) => [p.uid, dumpPod(p, connections)])),
});
