// How does a whole cluster start on this machine, stay up, and go away without a trace?

import { existsSync, realpathSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createKubeClient, type KubeClient, loadKubeConfig } from "@ambit/shared/kube/client.ts";
import type { Node } from "@ambit/shared/kube/objects/core.ts";
import { findCondition } from "@ambit/shared/kube/objects/meta.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import { createReflector } from "@ambit/shared/kube/reflector.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { aborted } from "@ambit/shared/runtime/run.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { type Instance, nodeName } from "../node/instance.ts";
import { ensureFabric, ensureNode } from "../node/network/run.ts";
import { missing } from "./check.ts";
import { type Child, keepRunning } from "./children/run.ts";
import { apiServerSpec, type ClusterSpec, controllersSpec, kubeconfigOf, nodeSpec } from "./children/spec.ts";
import type { UpConfig } from "./config.ts";
import { UpError } from "./error.ts";
import { openInstance, removeDeadInstances, removeInstance, takeInstance } from "./instance/store.ts";
import { facts } from "./machine/run.ts";
import { prepareComponents } from "./prepare.ts";

export type UpIo = {
  readonly world: World;
  /** One line for the person who watches. */
  readonly out: (line: string) => void;
  /** Ends the cluster. */
  readonly signal: AbortSignal;
  readonly path: string;
  /** Told once all nodes are ready. */
  readonly ready?: (up: RunningUp) => void;
};

export type RunningUp = { readonly instance: Instance; readonly kubeconfig: string; readonly server: string; readonly port: number };

const START_MS = 60_000;
const REPOSITORY = realpathSync(join(import.meta.dirname, "../../../.."));

/**
 * Runs until the signal aborts, then takes everything down. Throws UpError, one sentence, for what the person can mend:
 * a missing program, a port in use, a data directory in use, a child that does not start.
 */
export const runUp = async (config: UpConfig, io: UpIo): Promise<void> => {
  const { world, out } = io;
  const startedAt = world.now();
  const found = await facts(io.path);
  const wrong = missing(found);
  if (wrong.length > 0 || found.cgroupMount === undefined) throw new UpError(wrong.join("\n"));
  const instance = openInstance(config.dataDir, found.cgroupMount);
  const never = new AbortController().signal; // cleaning is not interrupted: half a cleaning is what it is there to prevent
  const { cleaned } = await takeInstance(instance, never);
  if (cleaned) out(`removed what an earlier run with ${instance.dataDir} left behind`);
  let started = false;
  try {
    for (const id of await removeDeadInstances(instance, never)) out(`removed what the dead instance ${id} left behind`);
    const port = await freePort(config.port);
    started = true;
    await runCluster({ instance, nodes: config.nodes, port, node: process.execPath, path: io.path }, io, startedAt);
  } finally {
    await removeInstance(instance, never);
    if (started) out(`stopped; the data stays in ${instance.dataDir}`);
  }
};

const runCluster = async (spec: ClusterSpec, io: UpIo, startedAt: number): Promise<void> => {
  const { world, out } = io;
  const { instance } = spec;
  let isUp = false;
  const deps = { instance, world, out, isUp: () => isUp };
  const children: Child[] = [];
  try {
    await ensureFabric(instance.id);
    children.push(keepRunning(apiServerSpec(spec), deps));
    const prepared = prepareComponents(REPOSITORY, out);
    for (let n = 1; n <= spec.nodes; n++) await ensureNode(instance.id, n, spec.nodes);
    const starting = AbortSignal.any([io.signal, AbortSignal.timeout(START_MS)]);
    const client = await raceChildren(children, waitForApi(spec, world, starting));
    await prepared;
    if (client === undefined) return;
    try {
      children.push(keepRunning(controllersSpec(spec), deps));
      for (let n = 1; n <= spec.nodes; n++) children.push(keepRunning(nodeSpec(spec, n), deps));
      await raceChildren(children, nodesReady({ client, spec, world, out }, starting));
    } finally {
      await client.close();
    }
    if (io.signal.aborted) return;
    isUp = true;
    const server = `https://127.0.0.1:${spec.port}`;
    const seconds = ((world.now() - startedAt) / 1000).toFixed(1);
    const nodes = spec.nodes === 1 ? "1 node" : `${spec.nodes} nodes`;
    out(`API server ${server} · kubeconfig ${kubeconfigOf(instance)} · ${nodes} ready in ${seconds} s`);
    io.ready?.({ instance, kubeconfig: kubeconfigOf(instance), server, port: spec.port });
    await raceChildren(children, aborted(io.signal));
  } catch (error) {
    if (!io.signal.aborted) throw error instanceof UpError ? error : new UpError(sentence(error, instance));
  } finally {
    await stopAll(children, out);
  }
};

const sentence = (error: unknown, instance: Instance): string => {
  const message = error instanceof Error ? error.message : String(error);
  return error instanceof Error && error.name === "TimeoutError"
    ? `the cluster was not ready within ${START_MS / 1000} s: see the logs in ${instance.dataDir}/logs`
    : message;
};

/** Nodes first (they end their pods), the API server last (they tell it). */
const stopAll = async (children: readonly Child[], out: (line: string) => void): Promise<void> => {
  if (children.length === 0) return;
  out("stopping");
  const [api, ...others] = children;
  await Promise.all(others.map((c) => c.stop(5_000)));
  await api?.stop(5_000);
};

/** The work's outcome, or the first child's refusal to run. */
const raceChildren = <T>(children: readonly Child[], work: Promise<T>): Promise<T> => {
  const refusals = children.map((c) => c.ended.then((): Promise<T> => new Promise(() => undefined)));
  return Promise.race([work, ...refusals]);
};

/** The port itself, or any free one for 0. Throws UpError when somebody has it. */
const freePort = (port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (e: NodeJS.ErrnoException) =>
      reject(
        new UpError(
          e.code === "EADDRINUSE"
            ? `port ${port} on 127.0.0.1 is in use by another program: give another with --port`
            : `cannot listen on 127.0.0.1:${port}: ${e.message}`,
        ),
      ),
    );
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : port));
    });
  });

const POLL_MS = 50;

/** A client of the API server once it says it is ready; undefined when the signal aborted first because we are to stop. */
const waitForApi = async (spec: ClusterSpec, world: World, signal: AbortSignal): Promise<KubeClient | undefined> => {
  const path = kubeconfigOf(spec.instance);
  for (;;) {
    if (existsSync(path)) {
      const config = loadKubeConfig({ kubeconfig: path });
      // An earlier run's kubeconfig may still name another port.
      if (config.server === `https://127.0.0.1:${spec.port}`) {
        const client = createKubeClient(config, world);
        if (await isReady(client, signal)) return client;
        await client.close();
      }
    }
    await world.sleep(POLL_MS, signal);
  }
};

const isReady = async (client: KubeClient, signal: AbortSignal): Promise<boolean> => {
  try {
    await client.list(RESOURCES.namespaces, {}, signal);
    return true;
  } catch (error) {
    if (signal.aborted) throw error;
    return false; // not listening yet, or still loading: asked again until the start's deadline
  }
};

type Waiting = { readonly client: KubeClient; readonly spec: ClusterSpec; readonly world: World; readonly out: (line: string) => void };

/** Waits until every node of this run reports Ready anew, and forgets nodes of an earlier, larger run. */
const nodesReady = async ({ client, spec, world, out }: Waiting, signal: AbortSignal): Promise<void> => {
  const wanted = new Set(Array.from({ length: spec.nodes }, (_, i) => nodeName(i + 1)));
  const done = new AbortController();
  const either = AbortSignal.any([signal, done.signal]);
  const since = world.now();
  const reflector = createReflector<Node>({
    client,
    resource: RESOURCES.nodes,
    world,
    log: (_event, fields) => out(String((fields as { message?: string }).message)),
  });
  const all = Promise.withResolvers<void>();
  const stopListening = reflector.subscribe(() => {
    const ready = reflector.list().filter((n) => wanted.has(n.metadata.name) && readySince(n, since));
    if (ready.length === wanted.size) all.resolve();
  });
  const running = reflector.run(either);
  try {
    await reflector.synced(either);
    const surplus = reflector
      .list()
      .map((n) => n.metadata.name)
      .filter((name) => /^node\d+$/.test(name) && !wanted.has(name));
    if (surplus.length > 0) await forgetNodes(client, surplus);
    await Promise.race([all.promise, aborted(signal).then(() => Promise.reject(signal.reason))]);
  } finally {
    stopListening();
    done.abort(new Error("all nodes are ready"));
    await running;
  }
};

/** Their pods run nowhere any more: nobody else could end them, and their owners wait for that before they make new ones. */
const forgetNodes = async (client: KubeClient, names: readonly string[]): Promise<void> => {
  for (const name of names) await client.delete(RESOURCES.nodes, { name });
  const { items } = await client.list<Pod>(RESOURCES.pods);
  for (const { metadata, spec } of items)
    if (names.includes(spec.nodeName ?? ""))
      await client.delete(
        RESOURCES.pods,
        { namespace: metadata.namespace ?? "", name: metadata.name },
        { gracePeriodSeconds: 0, uid: metadata.uid },
      );
};

/** A Ready that an earlier run left in the store does not count: the node must have said so since. Times have whole seconds. */
const readySince = (n: Node, since: number): boolean => {
  const ready = findCondition(n.status?.conditions, "Ready") as { status?: string; lastHeartbeatTime?: string } | undefined;
  return ready?.status === "True" && Date.parse(ready.lastHeartbeatTime ?? "") >= Math.floor(since / 1000) * 1000;
};
