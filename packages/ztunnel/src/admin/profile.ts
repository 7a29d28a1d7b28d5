// Where do this thread's time and memory go? (V8's own profiles: open them in a browser's developer tools or with speedscope)

import { Session } from "node:inspector/promises";
import type { World } from "@ambit/shared/runtime/world.ts";

export type ProfileKind = "cpu" | "heap";
export type ProfileQuestion = { readonly kind: ProfileKind; readonly seconds: number; readonly perSecond: number };

const METHODS = {
  cpu: { start: "Profiler.start", stop: "Profiler.stop", domain: "Profiler" },
  heap: { start: "HeapProfiler.startSampling", stop: "HeapProfiler.stopSampling", domain: "HeapProfiler" },
} as const;

/** A .cpuprofile (what ran) or .heapprofile (what allocated what still lives) of the thread that calls, as JSON. */
export const takeProfile = async ({ kind, seconds, perSecond }: ProfileQuestion, world: Pick<World, "sleep">): Promise<string> => {
  const session = new Session();
  session.connect();
  const post = (method: string, params?: object): Promise<unknown> => session.post(method, params);
  try {
    const { start, stop, domain } = METHODS[kind];
    await post(`${domain}.enable`);
    if (kind === "cpu") await post("Profiler.setSamplingInterval", { interval: Math.round(1_000_000 / perSecond) });
    await post(start);
    await world.sleep(seconds * 1_000);
    const { profile } = (await post(stop)) as { profile: unknown };
    return JSON.stringify(profile);
  } finally {
    session.disconnect();
  }
};
