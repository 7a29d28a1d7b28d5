// How does a ztunnel take its pods' listening sockets over from the one before it, and hand them on to the next?

import type { Netns } from "@ambit/shared/linux/netns.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { ScopedLogger } from "@ambit/shared/telemetry/log.ts";
import type { Listening } from "../inpod/listeners.ts";
import type { ServedPod } from "../inpod/run.ts";
import { createSuccession, type Succession } from "./client.ts";
import { keepQueues } from "./migrate.ts";
import { type Offer, offerListeners } from "./server.ts";

export type HandoverOptions = {
  /** The directory that the node's ztunnels share. */
  readonly dir: string;
  readonly world: World;
  readonly log: ScopedLogger;
  readonly find: (uid: string) => ServedPod | undefined;
};

export type Handover = {
  /** Finds the ztunnels that run already, and can be found from now on. That it cannot be is said, and is no failure. */
  begin(): void;
  /** Starts the pod with the sockets that an older ztunnel has for it. */
  start<P extends { readonly uid: string; readonly netns: Netns }, R>(
    pod: P,
    begin: (pod: P, inherited: readonly Listening[]) => Promise<R>,
  ): Promise<R>;
  /** Nobody takes anything over from here on. */
  close(): void;
};

export const createHandover = (options: HandoverOptions): Handover => {
  const { log, find } = options;
  let succession: Succession | undefined;
  let offer: Offer | undefined;
  let queuesTold = false;

  const current = (uid: string) => {
    const pod = find(uid);
    return pod?.proxy === undefined ? undefined : { netns: pod.netns, listening: pod.proxy.listening() };
  };
  /** The second line, for neighbours that know no hand-over. */
  const secondLine = (netns: Netns): void => {
    const no = keepQueues(netns);
    if (no !== "" && !queuesTold)
      log.debug("what waits in a listener is lost when it is closed and nobody has taken it over", { reason: no });
    queuesTold ||= no !== "";
  };

  return {
    begin: () => {
      succession = createSuccession(options);
      try {
        offer = offerListeners({ ...options, current });
      } catch (e) {
        log.warn("the next ztunnel cannot take over from this one", {
          dir: options.dir,
          error: e instanceof Error ? e.message : String(e),
        });
      }
    },
    start: async (pod, begin) => {
      secondLine(pod.netns);
      const inherited = (await succession?.ask(pod.uid, pod.netns.identity)) ?? [];
      return begin(pod, inherited);
    },
    close: () => {
      offer?.close();
      succession?.close();
      offer = undefined;
      succession = undefined;
    },
  };
};
