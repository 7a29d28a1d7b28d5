// How is a data thread started, and how does its end show?

import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import type { FromThread, ThreadSetup, ToThread } from "./messages.ts";

/** Objects of a moment: a small young generation is collected often and quickly, and keeps the resident size down. */
const YOUNG_GENERATION_MB = 16;

/** The control thread's end of one data thread. */
export type ThreadProcess = {
  post(message: ToThread, transfer?: readonly MessagePort[]): void;
  /** Ends it at once, wherever it is. */
  terminate(): Promise<void>;
};

export type ThreadEvents = {
  onMessage(message: FromThread): void;
  /** Called once; undefined when it was terminated. */
  onEnd(error: Error | undefined): void;
};

export type Spawn = (setup: ThreadSetup, events: ThreadEvents) => ThreadProcess;

/** Workers that run the file. */
export const spawnFrom =
  (entry: URL): Spawn =>
  (setup, { onMessage, onEnd }) => {
    const worker = new Worker(entry, {
      name: `data ${setup.index}`,
      workerData: setup,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    let failure: Error | undefined;
    let terminated = false;
    worker.on("message", onMessage);
    worker.on("messageerror", (e) => {
      failure ??= e;
      void worker.terminate();
    });
    worker.on("error", (e) => {
      failure = e instanceof Error ? e : new Error(String(e));
    });
    worker.on("exit", (code) => onEnd(terminated ? undefined : (failure ?? new Error(`it exited with code ${code}`))));
    return {
      post: (message, transfer = []) => worker.postMessage(message, transfer),
      terminate: async () => {
        terminated = true;
        await worker.terminate();
      },
    };
  };

/** The data threads of ztunnel. */
export const spawnThread: Spawn = spawnFrom(new URL("./main.ts", import.meta.url));

/** The two ends of a way between two data threads. */
export const peerChannel = (): readonly [MessagePort, MessagePort] => {
  const { port1, port2 } = new MessageChannel();
  return [port1, port2];
};
