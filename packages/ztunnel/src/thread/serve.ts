// How does a data thread do what the control thread tells it?

import type { World } from "@ambit/shared/runtime/world.ts";
import type { Logger } from "@ambit/shared/telemetry/log.ts";
import { giveBackHeap } from "../memory.ts";
import { concernsPolicy, recheck } from "../policy/watch.ts";
import type { Call, Calls, FromThread, ThreadSetup, ToThread } from "./messages.ts";
import { createServedPods } from "./served.ts";
import { createShared } from "./shared.ts";

export type DataThread = { onMessage(message: ToThread): void };

export type DataThreadParts = {
  readonly setup: ThreadSetup;
  readonly tell: (message: FromThread) => void;
  readonly world: World;
  readonly logger: Logger;
  /** Sends what has been logged. */
  readonly flushLines: () => void;
};

const text = (e: unknown): string => (e instanceof Error ? e.message : String(e));

export const createDataThread = ({ setup, tell, world, logger, flushLines }: DataThreadParts): DataThread => {
  const shared = createShared({ config: setup.config, tell, world, logger });
  const { state, certs, revocations, questions, endpoints, log } = shared;
  const pods = createServedPods(setup, shared);

  state.onCommit((updates) => {
    const served = pods.list();
    const concerned = concernsPolicy(
      updates,
      served.map((s) => s.about),
    );
    if (concerned) for (const { proxy } of served) if (proxy !== undefined) recheck(state.view, proxy.pod.inbound);
    if (updates.some((u) => u.kind === "remove-address")) for (const { proxy } of served) proxy?.peersLeft();
  });

  const answers: { readonly [K in keyof Calls]: (ask: Calls[K]["ask"]) => Promise<Calls[K]["answer"]> } = {
    serve: (about) => pods.serve(about).then(() => undefined),
    stop: ({ key }) => pods.stop(key).then(() => undefined),
    drain: async ({ key, deadlineMs }) => {
      await pods.proxy(key)?.drain(deadlineMs);
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
    connections: async () => pods.connections(),
    // Its code is loaded when somebody asks: the data path does not need it.
    explain: async (question) => {
      const { answerExplain } = await import("./explain.ts");
      const served = () => pods.list().map((s) => s.about);
      const areNeighbours = shared.proxyDeps.local?.pods.areNeighbours;
      const sources = { view: state.view, pods: served, random: world.random, endpoints, egress: setup.config.egress };
      return answerExplain(areNeighbours === undefined ? sources : { ...sources, areNeighbours }, question);
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
      case "balance":
        pods.balance(message.key);
        break;
      case "terminate":
        pods.proxy(message.key)?.terminate();
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
        pods.handover.connect(message.index, message.port);
        break;
    }
  };
  return { onMessage };
};
