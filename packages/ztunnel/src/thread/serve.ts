// How does a data thread serve pods as the control thread tells it?

import { formatSocketAddr } from "@ambit/shared/addr/socket.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Logger } from "@ambit/shared/telemetry/log.ts";
import { createRevocations } from "@ambit/shared/tls/revocations.ts";
import { createLookups, createQuestions } from "../demand/lookup.ts";
import { createDnsReports } from "../dns/reports.ts";
import { readResolver, startHostResolver } from "../dns/run.ts";
import { createIdentities } from "../identities.ts";
import { TRAFFIC, type TrafficListener } from "../inpod/names.ts";
import { type PodProxy, startPodProxy } from "../inpod/proxy.ts";
import { giveBackHeap } from "../memory.ts";
import { createConnectionReports } from "../metrics.ts";
import { createEndpointBook } from "../outbound/endpoints.ts";
import { createReachability } from "../outbound/local/connect.ts";
import { createLocalPods } from "../outbound/local/store.ts";
import { createEndpointReports } from "../outbound/reports.ts";
import { revocationEvents } from "../policy/revocation.ts";
import { concernsPolicy, recheck } from "../policy/watch.ts";
import { createMeshMirror } from "../state/mirror.ts";
import type { ConnectionKind } from "./balance.ts";
import { type CertMirror, createCertMirror } from "./certs.ts";
import { createThreadMetrics } from "./counts.ts";
import { createHandover, type Handover, type Place } from "./handover.ts";
import type { Call, Calls, FromThread, PodConnections, PodDescription, ThreadSetup, ToThread } from "./messages.ts";
import { ownFds } from "./own.ts";

export type DataThread = { onMessage(message: ToThread): void };

export type DataThreadParts = {
  readonly setup: ThreadSetup;
  readonly tell: (message: FromThread) => void;
  readonly world: World;
  readonly logger: Logger;
  /** Sends what has been logged. */
  readonly flushLines: () => void;
};

/** A pod from the moment the thread is told of it. */
type Served = {
  readonly about: PodDescription;
  readonly starting: Promise<PodProxy>;
  proxy: PodProxy | undefined;
  balanced: boolean;
  end(): void;
};

const KIND: Readonly<Record<TrafficListener, { readonly kind: ConnectionKind; readonly halfOpen: boolean }>> = {
  outbound: { kind: "captured", halfOpen: true },
  passthrough: { kind: "captured", halfOpen: true },
  hbone: { kind: "tunnel", halfOpen: false },
};

/** A number that must not be used once the control thread may have closed it: asking for it then throws. */
const borrowed = (fd: number): { readonly fd: number; end(): void } => {
  let open = true;
  return {
    get fd() {
      if (!open) throw new Error("the network namespace has been closed");
      return fd;
    },
    end: () => {
      open = false;
    },
  };
};

const connectionsOf = ({ pod }: PodProxy): PodConnections => ({
  inbound: pod.inbound.list().map(({ info }) => ({
    src: formatSocketAddr(info.from),
    originalDst: formatSocketAddr(info.to),
    actualDst: formatSocketAddr(info.to),
    protocol: info.protocol,
  })),
  outbound: pod.outbound.list().map(({ info }) => ({
    src: formatSocketAddr(info.from),
    originalDst: formatSocketAddr(info.originalDst),
    actualDst: formatSocketAddr(info.actualDst),
    protocol: info.protocol,
  })),
});

const text = (e: unknown): string => (e instanceof Error ? e.message : String(e));

export const createDataThread = ({ setup, tell, world, logger, flushLines }: DataThreadParts): DataThread => {
  const { config } = setup;
  const log = logger.scope("proxy");
  const metrics = createThreadMetrics(tell);
  const reports = createConnectionReports(metrics, logger.scope("access"), world.now);
  const revocations = config.crlPath === undefined ? undefined : createRevocations(revocationEvents(metrics));
  const state = createMeshMirror();
  const resolver = readResolver(config.dns);
  const dns = { resolver, reports: createDnsReports(metrics), log: logger.scope("dns") };
  const hosts = startHostResolver(resolver, metrics, world);
  const endpoints = createEndpointBook({ now: world.now, reports: createEndpointReports(metrics) });
  const local = config.localShortcut ? { pods: createLocalPods(), reach: createReachability(world) } : undefined;
  const certs: CertMirror = createCertMirror({ tell, world, tls: config.tls });
  const identities = createIdentities(certs);
  const questions = createQuestions(({ id, names }) => tell({ kind: "look-up", id, names }));
  const lookups = config.onDemand ? createLookups({ view: state.view, ask: questions.ask, clusterId: config.clusterId }) : undefined;
  const pods = new Map<number, Served>();
  const handover: Handover = createHandover({
    self: setup.index,
    loads: new Int32Array(setup.loads),
    serve: ({ key, listener }, open) => pods.get(key)?.proxy?.take(listener, open) ?? false,
    onError: (e) => log.error("a connection could not be passed on", { error: e.message }),
  });

  const place = (key: number, listener: TrafficListener): Place => ({ key, listener, ...KIND[listener] });

  const start = (about: PodDescription): Served => {
    const fds = ownFds(about.listeners);
    const netns = borrowed(about.netns);
    const hold = identities.hold(about.identity);
    const places = new Map(TRAFFIC.map((name) => [name, place(about.key, name)]));
    const keep = (listener: TrafficListener, socket: Parameters<Handover["keep"]>[1]): boolean =>
      handover.keep(places.get(listener) ?? place(about.key, listener), socket, served.balanced ? "pass-on" : "only-keep");
    const starting = startPodProxy({ uid: about.uid, who: about.who, identity: about.identity, netns, fds, keep }, config, {
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
    });
    const end = (): void => {
      served.proxy?.close();
      hold[Symbol.dispose]();
      netns.end();
    };
    const served: Served = { about, starting, proxy: undefined, balanced: false, end };
    return served;
  };

  const serve = async (about: PodDescription): Promise<undefined> => {
    const known = pods.get(about.key);
    const served = known ?? start(about);
    pods.set(about.key, served);
    try {
      served.proxy = await served.starting;
      return undefined;
    } catch (e) {
      if (known === undefined) {
        pods.delete(about.key);
        served.end();
      }
      throw e;
    }
  };

  const stop = async (key: number): Promise<undefined> => {
    const served = pods.get(key);
    if (served === undefined) return undefined;
    // Whatever its start becomes: what it holds then is closed.
    await served.starting.catch(() => undefined);
    pods.delete(key);
    served.end();
    return undefined;
  };

  state.onCommit((updates) => {
    const served = [...pods.values()];
    if (
      !concernsPolicy(
        updates,
        served.map((s) => s.about),
      )
    )
      return;
    for (const { proxy } of served) if (proxy !== undefined) recheck(state.view, proxy.pod.inbound);
  });

  const answers: { readonly [K in keyof Calls]: (ask: Calls[K]["ask"]) => Promise<Calls[K]["answer"]> } = {
    serve,
    stop: ({ key }) => stop(key),
    drain: async ({ key, deadlineMs }) => {
      await pods.get(key)?.proxy?.drain(deadlineMs);
      return undefined;
    },
    beat: async () => undefined,
    flush: async () => {
      flushLines();
      return undefined;
    },
    // Its code is loaded when somebody asks, as that of explain.
    profile: async (question) => (await import("../admin/profile.ts")).takeProfile(question, world),
    giveBack: async () => {
      giveBackHeap();
      return undefined;
    },
    connections: async () =>
      Object.fromEntries([...pods.values()].flatMap((s) => (s.proxy === undefined ? [] : [[s.about.uid, connectionsOf(s.proxy)]]))),
    // Its code is loaded when somebody asks: the data path does not need it.
    explain: async (question) => {
      const { answerExplain } = await import("./explain.ts");
      return answerExplain(
        { view: state.view, pods: () => [...pods.values()].map((s) => s.about), random: world.random, endpoints },
        question,
      );
    },
  };
  const answer = (call: Call): void => {
    // One arm per name would say the same seven times: name and question come from one row of Calls.
    const ask = answers[call.name] as (ask: unknown) => Promise<unknown>;
    ask(call.ask).then(
      (value) => tell({ kind: "answer", id: call.id, value }),
      (e: unknown) => tell({ kind: "failure", id: call.id, error: text(e) }),
    );
  };

  const onMessage = (message: ToThread): void => {
    switch (message.kind) {
      case "call":
        answer(message);
        break;
      case "state":
        state.apply(message.message);
        break;
      case "balance": {
        const served = pods.get(message.key);
        if (served !== undefined) served.balanced = true;
        break;
      }
      case "terminate":
        pods.get(message.key)?.proxy?.terminate();
        break;
      case "certificate":
        certs.arrived(message.identity, message.issued);
        break;
      case "no-certificate":
        certs.failed(message.identity, message.error);
        break;
      case "revocations": {
        const read = revocations?.load(message.file);
        // The control thread has read the same file: never seen.
        if (read?.ok === false) log.error("revocation lists cannot be read", { error: read.error });
        break;
      }
      case "looked-up":
        questions.answered(message.id, message.error);
        break;
      case "levels":
        logger.resetLevels();
        logger.setLevels(message.levels);
        break;
      case "peer":
        handover.connect(message.index, message.port);
        break;
    }
  };
  return { onMessage };
};
