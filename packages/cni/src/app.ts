// How is the node agent put together and run?

import { createServer, type Server } from "node:http";
import { listenHttp } from "@ambit/shared/admin/listen.ts";
import { AdminError, requiredParam, serveAdmin } from "@ambit/shared/admin/server.ts";
import type { KubeClient } from "@ambit/shared/kube/client.ts";
import { isForbidden } from "@ambit/shared/kube/error.ts";
import type { DaemonSet } from "@ambit/shared/kube/objects/apps.ts";
import type { Namespace } from "@ambit/shared/kube/objects/core.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { createReflector } from "@ambit/shared/kube/reflector.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { eventLog } from "@ambit/shared/telemetry/event-log.ts";
import type { Logger, ScopedLogger } from "@ambit/shared/telemetry/log.ts";
import { createMetrics } from "@ambit/shared/telemetry/metrics.ts";
import { serveMetrics } from "@ambit/shared/telemetry/server.ts";
import { createPodActions } from "./agent/actions.ts";
import { createAgent } from "./agent/run.ts";
import type { CniConfig } from "./config.ts";
import { planEnrolment, podAddresses, REDIRECTION } from "./plan.ts";
import { applyRules } from "./redirect/apply.ts";
import { createProbes } from "./redirect/probes.ts";
import { removeHostRules } from "./redirect/rules.ts";
import { createZdsServer, type ZdsServer } from "./zds/server.ts";

export type CniDeps = { readonly client: KubeClient; readonly world: World; readonly logger: Logger };

/** Within the grace period that Kubernetes gives by default. */
const RELEASE_MS = 20_000;

export type CniApp = { run(stop: AbortSignal): Promise<void> };

/** True when the DaemonSet is gone or going: then this is an uninstall, else an upgrade or a restart. */
const isUninstall = async (config: CniConfig, client: Pick<KubeClient, "get">, log: ScopedLogger): Promise<boolean> => {
  try {
    const set = await client.get<DaemonSet>(RESOURCES.daemonSets, { namespace: config.podNamespace, name: config.daemonSet });
    return set === undefined || set.metadata.deletionTimestamp !== undefined;
  } catch (e) {
    // Not knowing is no reason to let traffic out of the mesh.
    log.warn("cannot tell an upgrade from an uninstall: everything is left in place", { error: String(e), forbidden: isForbidden(e) });
    return false;
  }
};

const healthServer = (isReady: () => boolean): Server =>
  createServer((req, res) => {
    const good = req.url === "/healthz" || (req.url === "/readyz" && isReady());
    res.writeHead(good ? 200 : 503, { "content-type": "text/plain" }).end(good ? "ok\n" : "not ready, pending: pods and namespaces\n");
  });

/** Builds without I/O; `run` serves until the signal aborts, and throws a sentence when it cannot start. */
export const build = (config: CniConfig, deps: CniDeps): CniApp => {
  const { client, world, logger } = deps;
  const log = logger.scope("cni-agent");
  const metrics = createMetrics();
  const events = metrics.counter({ name: "nodeagent_reconcile_events_total", help: "Steps taken for pods.", labels: ["type", "outcome"] });
  const logWatch = eventLog(log, "warn");
  const pods = createReflector<Pod>({
    client,
    resource: RESOURCES.pods,
    fieldSelector: `spec.nodeName=${config.nodeName}`,
    world,
    log: logWatch,
  });
  const namespaces = createReflector<Namespace>({ client, resource: RESOURCES.namespaces, world, log: logWatch });
  const probes = createProbes({ kubeletUid: config.kubeletUid, apply: (rules) => applyRules("here", rules) });
  let zds: ZdsServer | undefined;
  const agent = createAgent({
    actions: createPodActions({ client, procRoot: config.procRoot, probes }),
    pods,
    namespaces,
    excludeNamespaces: config.excludeNamespaces,
    captureDns: config.captureDns,
    zds: () => {
      if (zds === undefined) throw new Error("the ZDS server is not up yet");
      return zds;
    },
    world,
    log,
    onStep: (type, outcome) => events.with({ type, outcome }).add(),
  });
  metrics.gaugeOf({ name: "ztunnel_connected", help: "How many ztunnels are connected." }, () => zds?.connected() ?? 0);
  metrics.gaugeOf({ name: "ambit_cni_captured_pods", help: "Pods of this node that are captured." }, () => agent.captured());

  const isCaptured = (pod: Pod): boolean => {
    if (pod.metadata.annotations?.[REDIRECTION] !== "enabled") return false;
    const namespace = namespaces.get(pod.metadata.namespace ?? "");
    const { excludeNamespaces, captureDns } = config;
    const { kind } = planEnrolment({ pod, namespace, excludeNamespaces, captureDns });
    return kind === "enrol" || kind === "wait";
  };

  const explainPod = (namespace: string, name: string): unknown => {
    const report = agent.report(namespace, name);
    if (report === undefined) throw new AdminError(404, `pod ${namespace}/${name} is not on node ${config.nodeName}`);
    return { node: config.nodeName, ...report };
  };

  return {
    run: async (stop) => {
      await using scope = new AsyncDisposableStack();
      scope.use(
        await listenHttp(
          { port: config.healthPort },
          healthServer(() => zds !== undefined),
        ),
      );
      scope.use(await serveMetrics({ port: config.metricsPort }, metrics));
      scope.use(
        await serveAdmin(config.adminPort, {
          "/explain/pod": {
            about: "is a pod captured, and why or why not: ?namespace=&name=",
            handle: (r) => ({ json: explainPod(requiredParam(r, "namespace"), requiredParam(r, "name")) }),
          },
        }),
      );
      const watching = new AbortController();
      const following = [pods.run(watching.signal), namespaces.run(watching.signal)];
      const patience = AbortSignal.any([stop, AbortSignal.timeout(config.syncMs)]);
      await Promise.all([pods.synced(patience), namespaces.synced(patience)]);
      // The probe set starts from what is captured now: addresses of pods that ended while no agent ran are dropped.
      const captured = pods.list().filter(isCaptured);
      await probes.start(captured.map((pod) => ({ uid: pod.metadata.uid ?? "", addresses: podAddresses(pod) })));
      const done = agent.run(stop);
      zds = createZdsServer({
        path: config.zdsPath,
        snapshot: () => agent.snapshot(),
        onChange: () => agent.wakeAll(),
        world,
        log: logger.scope("zds"),
      });
      agent.wakeAll();
      log.info("node agent ready", { node: config.nodeName, pods: pods.list().length });
      await done;
      if (await isUninstall(config, client, log)) {
        log.info("the DaemonSet is gone: releasing every pod of this node");
        await agent.release(AbortSignal.timeout(RELEASE_MS));
        await applyRules("here", removeHostRules());
      }
      zds.close();
      watching.abort();
      await Promise.all(following);
    },
  };
};
