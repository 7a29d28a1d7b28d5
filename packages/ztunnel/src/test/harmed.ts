// A data thread as in production, which a test can break, block, fill and measure besides. (the entry of its worker)

import { monitorEventLoopDelay } from "node:perf_hooks";
import { parentPort } from "node:worker_threads";
import "../thread/main.ts";
import { createThreadMetrics } from "../thread/counts.ts";
import type { FromThread, ToThread } from "../thread/messages.ts";
import { type Spawn, spawnFrom, type ThreadProcess } from "../thread/spawn.ts";
import { TRAFFIC_LABELS, type TrafficLabel } from "../traffic.ts";

export type Harm =
  /** An error that nobody catches. */
  | { readonly harm: "throw" }
  | { readonly harm: "block"; readonly ms: number }
  /** Counts one in each of so many label sets of a family. */
  | { readonly harm: "count"; readonly family: string; readonly sets: number }
  | { readonly harm: "watch" }
  /** Logs the longest time that the event loop stood still since it is watched: "longest delay <n> ms". */
  | { readonly harm: "tell" };

const delay = monitorEventLoopDelay({ resolution: 1 });

const suffer = (tell: (message: FromThread) => void, h: Harm): void => {
  switch (h.harm) {
    case "throw":
      throw new Error("harmed by a test");
    case "block": {
      const until = performance.now() + h.ms;
      while (performance.now() < until);
      return;
    }
    case "count": {
      const family = createThreadMetrics(tell).counter({ name: h.family, help: "Counted by a test.", labels: TRAFFIC_LABELS });
      const labels = Object.fromEntries(TRAFFIC_LABELS.map((l) => [l, `some-value-of-${l}`])) as Record<TrafficLabel, string>;
      for (let i = 0; i < h.sets; i++) family.with({ ...labels, source_workload: `workload-${i}` }).add(i);
      return;
    }
    case "watch":
      delay.enable();
      delay.reset();
      return;
    case "tell":
      delay.disable();
      tell({ kind: "lines", lines: `longest delay ${(delay.max / 1e6).toFixed(2)} ms\n` });
  }
};

parentPort?.on("message", (message: ToThread | Harm) => {
  if ("harm" in message && parentPort !== null) suffer((m) => parentPort?.postMessage(m), message);
});

/** Threads that can be harmed, by number. */
export const harmable = (): { readonly spawn: Spawn; harm(thread: number, harm: Harm): void; said(): number } => {
  const processes = new Map<number, ThreadProcess>();
  const spawn = spawnFrom(new URL(import.meta.url));
  let messages = 0;
  return {
    spawn: (setup, events) => {
      const onMessage = (message: FromThread): void => {
        messages++;
        events.onMessage(message);
      };
      const made = spawn(setup, { ...events, onMessage });
      processes.set(setup.index, made);
      return {
        ...made,
        post: (message, transfer) => {
          messages++;
          made.post(message, transfer);
        },
      };
    },
    /** Messages between the control thread and its data threads, both ways. */
    said: () => messages,
    harm: (thread, harm) => {
      const process = processes.get(thread);
      if (process === undefined) throw new Error(`there is no thread ${thread}`);
      process.post(harm as unknown as ToThread);
    },
  };
};
