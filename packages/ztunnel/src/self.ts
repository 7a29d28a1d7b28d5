// How are ztunnel's own metrics reached through a tunnel, under the mesh's policies? (the self listener, ambient-l4 section 1.1)

import { type Netns, ownNetns } from "@ambit/shared/linux/netns.ts";
import type { LocalWorkload } from "@ambit/shared/state/view.ts";
import type { ScopedLogger } from "@ambit/shared/telemetry/log.ts";
import type { PodHandle } from "./inpod/run.ts";

export type Self = {
  /** Serves tunnels on 15008 of ztunnel's own pod, to the one port only. That it cannot is said; the node's pods matter more. */
  begin(): Promise<void>;
  drain(deadlineMs: number): Promise<void>;
};

export type SelfOptions = {
  /** Whom our pod is; undefined: we do not know, and serve nothing. */
  readonly who: LocalWorkload | undefined;
  readonly onlyPort: number;
  readonly start: (
    pod: { uid: string; who: LocalWorkload; netns: Netns; onlyPort: number },
    inherited: readonly never[],
  ) => Promise<PodHandle>;
  readonly log: ScopedLogger;
};

export const createSelf = ({ who, onlyPort, start, log }: SelfOptions): Self => {
  let serving: { readonly handle: PodHandle; readonly netns: Netns } | undefined;
  return {
    begin: async () => {
      if (who === undefined) return;
      const netns = ownNetns();
      try {
        serving = { handle: await start({ uid: "self", who, netns, onlyPort }, []), netns };
      } catch (e) {
        netns[Symbol.dispose]();
        log.warn("our own metrics are not reached through tunnels", { error: e instanceof Error ? e.message : String(e) });
      }
    },
    drain: async (deadlineMs) => {
      if (serving === undefined) return;
      const { handle, netns } = serving;
      serving = undefined;
      await handle.drain(deadlineMs);
      await handle.close();
      netns[Symbol.dispose]();
    },
  };
};
