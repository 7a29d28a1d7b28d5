// What do all pods of a data thread share?

import { meterRevocations } from "@ambit/shared/proxy/certificate-metrics.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Logger } from "@ambit/shared/telemetry/log.ts";
import { createRevocations } from "@ambit/shared/tls/revocations.ts";
import { createLookups, createQuestions } from "../demand/lookup.ts";
import { createDnsReports } from "../dns/reports.ts";
import { readResolver, startHostResolver } from "../dns/run.ts";
import { createConnectionReports } from "../metrics.ts";
import { createEndpointBook } from "../outbound/endpoints.ts";
import { createReachability } from "../outbound/local/connect.ts";
import { createLocalPods } from "../outbound/local/store.ts";
import { createEndpointReports } from "../outbound/reports.ts";
import { createMeshMirror } from "../state/mirror.ts";
import { createCertMirror } from "./certs.ts";
import { createThreadMetrics } from "./counts.ts";
import type { FromThread, ThreadConfig } from "./messages.ts";

export type ShareOptions = {
  readonly config: ThreadConfig;
  readonly tell: (message: FromThread) => void;
  readonly world: World;
  readonly logger: Logger;
};

/** One of each for the thread, and a set of them is what a pod's proxy is given (`proxyDeps`). */
export const createShared = ({ config, tell, world, logger }: ShareOptions) => {
  const log = logger.scope("proxy");
  const metrics = createThreadMetrics(tell);
  const reports = createConnectionReports(metrics, logger.scope("access"), world.now);
  const revocations = config.crlPath === undefined ? undefined : createRevocations(meterRevocations(metrics));
  const state = createMeshMirror();
  const resolver = readResolver(config.dns);
  const dns = { resolver, reports: createDnsReports(metrics), log: logger.scope("dns") };
  const hosts = startHostResolver(resolver, metrics, world);
  const endpoints = createEndpointBook({ now: world.now, reports: createEndpointReports(metrics) });
  const local = config.localShortcut ? { pods: createLocalPods(), reach: createReachability(world) } : undefined;
  const certs = createCertMirror({ tell, world, tls: config.tls });
  const questions = createQuestions(({ id, names }) => tell({ kind: "look-up", id, names }));
  const lookups = config.onDemand ? createLookups({ view: state.view, ask: questions.ask, clusterId: config.clusterId }) : undefined;
  const proxyDeps = {
    state,
    certs,
    revocations,
    reports,
    world,
    log,
    rbac: logger.scope("rbac"),
    dns,
    hosts,
    endpoints,
    local,
    lookups,
  };
  return { state, certs, revocations, questions, endpoints, log, proxyDeps };
};
export type Shared = ReturnType<typeof createShared>;
