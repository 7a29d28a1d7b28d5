// How is memory given back that only a start or a large change needed?

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { trimMalloc } from "@ambit/shared/linux/memory.ts";

type Collect = (how: { readonly type: "major"; readonly execution: "sync"; readonly flavor: "last-resort" }) => void;

let collect: Collect | undefined;

/**
 * V8 hands its collector out only to contexts that are made while the flag is set. The flag is the whole process's and stays set:
 * taken back, it would be missing for another thread that is doing the same.
 */
const collector = (): Collect => {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as Collect;
};

/**
 * Collects this thread's garbage and gives the room that its heap does not need back to the system, as V8 itself does under
 * memory pressure. Takes some 50 ms in which the thread does nothing else: for a data thread before it serves, never later.
 */
export const giveBackHeap = (): void => {
  collect ??= collector();
  collect({ type: "major", execution: "sync", flavor: "last-resort" });
};

/** The same, and what malloc keeps for the whole process. */
export const giveBack = (): void => {
  giveBackHeap();
  trimMalloc();
};
