// How are the controller's parts put together, and in which order do they start and stop?

import { randomBytes } from "node:crypto";
import { serveGrpc } from "@ambit/shared/grpc/serve.ts";
import type { KubeClient } from "@ambit/shared/kube/client.ts";
import { runLeader } from "@ambit/shared/kube/leader/run.ts";
import type { Pod } from "@ambit/shared/kube/objects.ts";
import { createReadiness } from "@ambit/shared/runtime/ready.ts";
import { aborted } from "@ambit/shared/runtime/run.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Logger } from "@ambit/shared/telemetry/log.ts";
import { createMetrics } from "@ambit/shared/telemetry/metrics.ts";
import { publishRootCert } from "./ca/apply.ts";
import { authorizeIdentity, nodeIdentityKey, type PodView } from "./ca/node-auth.ts";
import { createServingCertificate, servingNames } from "./ca/serve.ts";
import { createCaService } from "./ca/server.ts";
import { loadOrCreateRoot } from "./ca/store.ts";
import type { Collection, Graph } from "./collections/core.ts";
import { createGraph } from "./collections/flush.ts";
import { lookup } from "./collections/lookup.ts";
import { staticCollection } from "./collections/static.ts";
import type { ControllerConfig } from "./config.ts";
import { runDeployer } from "./deployer/apply.ts";
import { createDiscovery } from "./discovery/server.ts";
import { keepWaypointClass } from "./gateway/apply.ts";
import { createSources } from "./kube/watch.ts";
import { createInputs, sameObject } from "./model/inputs.ts";
import { buildMesh } from "./model/mesh.ts";
import { meterController } from "./monitoring/metrics.ts";
import { serveMonitoring } from "./monitoring/serve.ts";
import { writeStatuses } from "./status/apply.ts";
import { createTokenReviewer } from "./tokens/client.ts";

export type App = AsyncDisposable & {
  readonly grpcPort: number;
  readonly monitoringPort: number;
  readonly readyPort: number;
  /** Works until the signal aborts, then drains. */
  run(signal: AbortSignal): Promise<void>;
};

export type AppDeps = { readonly client: KubeClient; readonly world: World; readonly logger: Logger };

const LEASE = "istio-leader";
const DRAIN_MS = 2_000;

const podsByNode = (graph: Graph, pods: Collection<Pod>): Collection<readonly Pod[]> =>
  lookup<Pod>({
    graph,
    name: "PodsByNodeIdentity",
    from: pods,
    keysOf: (pod) => {
      const key = nodeIdentityKey(pod);
      return key === undefined ? [] : [key];
    },
    equal: sameObject,
  });

/** Loads or makes the root, then binds all ports: nothing is served before the first lists are in, but the ports are known. */
export const build = async (config: ControllerConfig, { client, world, logger }: AppDeps): Promise<App> => {
  const scope = new AsyncDisposableStack();
  const log = (name: string) => {
    const l = logger.scope(name);
    return (event: string, fields: object) => l.info(event, fields as Record<string, string>);
  };
  const graphLog = logger.scope("graph");
  const graph = createGraph((e) =>
    graphLog.error("transform failed", {
      collection: e.collection,
      key: e.key,
      error: e.cause instanceof Error ? e.cause.message : String(e.cause),
    }),
  );
  const inputs = createInputs(graph);
  const mesh = buildMesh(graph, inputs, config.mesh);
  const byNode = podsByNode(graph, inputs.pods);
  const pods: PodView = {
    pod: (key) => inputs.pods.get(key),
    podsOn: (node, who) => byNode.get(`${node}|${who.namespace}|${who.serviceAccount}`) ?? [],
  };
  const served = staticCollection<string>({ graph, name: "ServedKinds", equal: (a, b) => a === b });
  const sources = createSources({ client, graph, inputs, served, revision: config.mesh.revision, world, log: log("kube") });

  const root = await loadOrCreateRoot(client, { namespace: config.mesh.rootNamespace, trustDomain: config.mesh.trustDomain }, world);
  const names = servingNames({
    service: config.serviceName,
    namespace: config.mesh.rootNamespace,
    clusterDomain: config.mesh.clusterDomain,
  });
  const serving = createServingCertificate(root, names, world);
  const review = createTokenReviewer({ client, audiences: config.audiences, world });
  const settings = { trustDomain: config.mesh.trustDomain, trustedNodeAccounts: config.trustedNodeAccounts };
  const ca = createCaService({
    root,
    review,
    authorize: (ask) => authorizeIdentity(ask, pods, settings),
    lifetimes: config.certificates,
    world,
    log: log("ca"),
  });
  const discovery = createDiscovery({ mesh, review, log: log("ads") });
  const readiness = createReadiness(["kubernetes", "grpc"]);
  const metrics = createMetrics({ processMetrics: true });
  meterController(metrics, { graph, mesh, xds: discovery });
  const deps = { metrics, readiness, graph, xds: discovery };
  const monitoring = scope.use(await serveMonitoring(config.monitoringPort, deps));
  const ready = scope.use(await serveMonitoring(config.readyPort, deps));

  const deployment = { mesh: config.mesh, ...config.waypoint, discoveryAddress: config.discoveryAddress };
  const lead = async (signal: AbortSignal): Promise<void> => {
    await sources.synced(signal);
    await Promise.all([
      publishRootCert({ client, namespaces: inputs.namespaces, rootPem: root.certPem, world, log: log("ca") }, signal),
      keepWaypointClass({ client, served, classes: inputs.gatewayClasses, world, log: log("deployer") }, signal),
      runDeployer({ client, inputs, settings: deployment, world, log: log("deployer") }, signal),
      ...(config.writeStatus ? [writeStatuses({ client, statuses: mesh.statuses, inputs, world, log: log("status") }, signal)] : []),
    ]);
  };

  let grpcPort = config.grpcPort;
  const run = async (signal: AbortSignal): Promise<void> => {
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    const following = sources.run(either);
    const leading = runLeader(
      {
        client,
        namespace: config.mesh.rootNamespace,
        name: LEASE,
        self: `${config.podName}-${randomBytes(4).toString("hex")}`,
        world,
        log: log("leader"),
      },
      lead,
      either,
    );
    const all = Promise.all([following, leading, serving.run(either)]);
    try {
      // A proxy that got half of the world would take the other half for deleted, and policies for lifted.
      await Promise.race([sources.synced(either), all]);
      readiness.open("kubernetes");
      const grpc = await serveGrpc({
        bind: `${config.bindAddress}:${config.grpcPort}`,
        tls: { current: serving.current, onRenew: serving.onRenew },
        services: [discovery, ca],
      });
      grpcPort = grpc.port;
      readiness.open("grpc");
      await Promise.race([aborted(either), all]);
      readiness.close("grpc");
      discovery.close();
      await grpc.drain(DRAIN_MS);
      grpc.close();
    } catch (cause) {
      if (!signal.aborted || cause !== signal.reason) throw cause; // told to stop while still starting
    } finally {
      stop.abort(new Error("the controller stops"));
      await all.catch((cause: unknown) => {
        if (!either.aborted) throw cause;
      });
    }
  };
  return {
    get grpcPort() {
      return grpcPort;
    },
    monitoringPort: monitoring.port,
    readyPort: ready.port,
    run,
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  };
};
