// How are the controller's parts put together, and in which order do they start and stop?

import { randomBytes } from "node:crypto";
import { type GrpcServer, serveGrpc } from "@ambit/shared/grpc/serve.ts";
import type { KubeClient } from "@ambit/shared/kube/client.ts";
import { runLeader } from "@ambit/shared/kube/leader/run.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { createReadiness } from "@ambit/shared/runtime/ready.ts";
import { aborted } from "@ambit/shared/runtime/run.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { eventLog } from "@ambit/shared/telemetry/event-log.ts";
import type { Logger } from "@ambit/shared/telemetry/log.ts";
import { createMetrics } from "@ambit/shared/telemetry/metrics.ts";
import { CRL, publishToNamespaces, ROOT_CERT } from "./ca/apply.ts";
import { rootsText } from "./ca/authority.ts";
import { authorizeIdentity, nodeIdentityKey, type PodView } from "./ca/node-auth.ts";
import { createServingCertificate, servingNames } from "./ca/serve.ts";
import { createCaService } from "./ca/server.ts";
import { type CaStore, createCaStore } from "./ca/store.ts";
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
  readonly monitoringPort: number;
  readonly readyPort: number;
  /** Where proxies are served; resolves once they are. */
  readonly grpcPort: Promise<number>;
  /** Works until the signal aborts, then drains. Rejects when a part fails for good. */
  run(signal: AbortSignal): Promise<void>;
};

export type AppDeps = { readonly client: KubeClient; readonly world: World; readonly logger: Logger };

const LEASE = "istio-leader";
const DRAIN_MS = 2_000;

/** What Kubernetes says, and all that follows from it. */
const buildModel = (config: ControllerConfig, { client, world, logger }: AppDeps) => {
  const { error } = logger.scope("graph");
  const graph = createGraph(({ collection, key, cause }) =>
    error("transform failed", { collection, key, error: cause instanceof Error ? cause.message : String(cause) }),
  );
  const inputs = createInputs(graph);
  const served = staticCollection<string>({ graph, name: "ServedKinds", equal: (a, b) => a === b });
  const mesh = buildMesh(graph, inputs, config.mesh);
  const pods = podView(graph, inputs.pods);
  const sources = createSources({
    client,
    graph,
    inputs,
    served,
    revision: config.mesh.revision,
    world,
    log: eventLog(logger.scope("kube"), "info"),
  });
  return { graph, inputs, served, mesh, pods, sources };
};
type Model = ReturnType<typeof buildModel>;

const podView = (graph: Graph, pods: Collection<Pod>): PodView => {
  const keysOf = (pod: Pod): readonly string[] => {
    const key = nodeIdentityKey(pod);
    return key === undefined ? [] : [key];
  };
  const byNode = lookup<Pod>({ graph, name: "PodsByNodeIdentity", from: pods, keysOf, equal: sameObject });
  return { pod: (key) => pods.get(key), podsOn: (node, who) => byNode.get(`${node}|${who.namespace}|${who.serviceAccount}`) ?? [] };
};

/** What proxies call: discovery and certificates, behind a certificate of our own. */
const buildServices = (config: ControllerConfig, deps: AppDeps, given: { readonly model: Model; readonly ca: CaStore }) => {
  const { client, world, logger } = deps;
  const { model } = given;
  const authority = () => given.ca.current().authority;
  const { rootNamespace: namespace, clusterDomain, trustDomain } = config.mesh;
  const review = createTokenReviewer({ client, audiences: config.audiences, world });
  const serving = createServingCertificate(
    {
      authority,
      onChange: given.ca.onChange,
      names: servingNames({ service: config.serviceName, namespace, clusterDomain }),
      policy: config.tls,
    },
    world,
  );
  const discovery = createDiscovery({
    mesh: model.mesh,
    review,
    ztunnelAccounts: config.trustedNodeAccounts,
    log: eventLog(logger.scope("ads"), "info"),
  });
  const ca = createCaService({
    authority,
    review,
    authorize: (ask) => authorizeIdentity(ask, model.pods, { trustDomain, trustedNodeAccounts: config.trustedNodeAccounts }),
    lifetimes: config.certificates,
    world,
    log: eventLog(logger.scope("ca"), "info"),
  });
  const listen = (): Promise<GrpcServer> =>
    serveGrpc({ bind: `${config.bindAddress}:${config.grpcPort}`, tls: serving, services: [discovery, ca] });
  return { discovery, serving, listen };
};

/** What only one controller may do: write to the cluster. Nothing is written before everything has been read. */
const leaderWork =
  (config: ControllerConfig, deps: AppDeps, given: { readonly model: Model; readonly ca: CaStore }) =>
  async (signal: AbortSignal): Promise<void> => {
    const { client, world, logger } = deps;
    const { inputs, served, mesh, sources } = given.model;
    const settings = { mesh: config.mesh, ...config.waypoint, discoveryAddress: config.discoveryAddress, tls: config.tls };
    const { ca } = given;
    const publish = (map: typeof ROOT_CERT | typeof CRL, content: () => string | undefined): Promise<void> =>
      publishToNamespaces(
        {
          client,
          namespaces: inputs.namespaces,
          map,
          content,
          onChange: ca.onChange,
          world,
          log: eventLog(logger.scope("ca"), "info"),
        },
        signal,
      );
    await sources.synced(signal);
    await Promise.all([
      publish(ROOT_CERT, () => rootsText(ca.current().authority)),
      publish(CRL, () => ca.current().crl),
      ca.rotate(signal),
      keepWaypointClass({ client, served, classes: inputs.gatewayClasses, world, log: eventLog(logger.scope("deployer"), "info") }, signal),
      runDeployer({ client, inputs, settings, world, log: eventLog(logger.scope("deployer"), "info") }, signal),
      ...(config.writeStatus
        ? [writeStatuses({ client, statuses: mesh.statuses, inputs, world, log: eventLog(logger.scope("status"), "info") }, signal)]
        : []),
    ]);
  };

/** Loads or makes the root and opens the operator's ports; proxies are served by `run`, once the first lists are in. */
export const build = async (config: ControllerConfig, deps: AppDeps): Promise<App> => {
  const { client, world, logger } = deps;
  const scope = new AsyncDisposableStack();
  const model = buildModel(config, deps);
  const { rootNamespace: namespace, trustDomain } = config.mesh;
  const caDeps = { client, world, log: eventLog(logger.scope("ca"), "info") };
  const ca = await createCaStore(caDeps, { ...config.rootRotation, namespace, trustDomain });
  const services = buildServices(config, deps, { model, ca });
  const readiness = createReadiness(["kubernetes", "grpc"]);
  const metrics = createMetrics({ processMetrics: true });
  meterController(metrics, { graph: model.graph, mesh: model.mesh, xds: services.discovery });
  const pages = { metrics, readiness, graph: model.graph, xds: services.discovery };
  const monitoring = scope.use(await serveMonitoring(config.monitoringPort, pages));
  const ready = scope.use(await serveMonitoring(config.readyPort, pages));
  const grpcPort = Promise.withResolvers<number>();

  const serve = async (until: { readonly stop: AbortSignal; readonly failed: Promise<unknown> }): Promise<void> => {
    // A proxy that got half of the world would take the other half for deleted, and policies for lifted.
    await Promise.race([model.sources.synced(until.stop), until.failed]);
    readiness.open("kubernetes");
    const grpc = await services.listen();
    grpcPort.resolve(grpc.port);
    readiness.open("grpc");
    await Promise.race([aborted(until.stop), until.failed]);
    readiness.close("grpc");
    services.discovery.close();
    await grpc.drain(DRAIN_MS);
    grpc.close();
  };

  const run = async (signal: AbortSignal): Promise<void> => {
    const ended = new AbortController();
    const stop = AbortSignal.any([signal, ended.signal]);
    const self = `${config.podName}-${randomBytes(4).toString("hex")}`;
    const lease = { client, namespace: config.mesh.rootNamespace, name: LEASE, self, world, log: eventLog(logger.scope("leader"), "info") };
    const parts = Promise.all([
      model.sources.run(stop),
      runLeader(lease, leaderWork(config, deps, { model, ca }), stop),
      services.serving.run(stop),
      ca.run(stop),
    ]);
    try {
      await serve({ stop, failed: parts });
    } catch (cause) {
      if (!signal.aborted || cause !== signal.reason) throw cause; // told to stop while still starting: no failure
    } finally {
      ended.abort(new Error("the controller stops"));
      await parts.catch((cause: unknown) => {
        if (!signal.aborted) throw cause;
      });
    }
  };
  return {
    grpcPort: grpcPort.promise,
    monitoringPort: monitoring.port,
    readyPort: ready.port,
    run,
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  };
};
