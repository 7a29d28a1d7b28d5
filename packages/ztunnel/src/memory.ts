// How is memory given back that only a start or a large change needed?

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { trimMalloc } from "@ambit/shared/linux/memory.ts";

type Collect = (how: { readonly type: "major"; readonly execution: "sync"; readonly flavor: "last-resort" }) => void;

let collect: Collect | undefined;

/**
 * Collects this thread's garbage and gives the room that its heap does not need back to the system, as V8 itself does under
 * memory pressure. Takes some 50 ms in which the thread does nothing else: for a data thread before it serves, never later.
 * Works while `giveBack` of the control thread waits for it.
 */
export const giveBackHeap = (): void => {
  collect ??= runInNewContext("gc") as Collect;
  collect({ type: "major", execution: "sync", flavor: "last-resort" });
};

/**
 * For the control thread: its own heap, that of the other threads (which call `giveBackHeap` when asked), and what malloc
 * keeps for the whole process.
 */
export const giveBack = async (others: () => Promise<void>): Promise<void> => {
  // V8 hands its collector out only to contexts that are made while this flag is set. The flag is the process's, so nobody else
  // touches it; and it is taken back, since code compiled under other flags is not used from the compile cache.
  setFlagsFromString("--expose-gc");
  try {
    await others();
    giveBackHeap();
  } finally {
    setFlagsFromString("--no-expose-gc");
  }
  trimMalloc();
};
