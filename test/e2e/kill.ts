// Which processes are a pod's, and how are they killed?
import { readdirSync, readFileSync } from "node:fs";
import type { Context } from "./context.ts";

/** The pids whose cgroup belongs to the pod. */
export const pidsOf = (uid: string): number[] =>
  readdirSync("/proc")
    .filter((p) => /^\d+$/.test(p))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(`pod${uid}`);
      } catch {
        return false; // it ended while we looked
      }
    });

/** SIGKILL to every process of the pods, as an out-of-memory killer would. */
export const killPod = async (c: Context, namespace: string, selector: string): Promise<void> => {
  for (const pod of await c.cluster.pods(namespace, selector))
    for (const pid of pidsOf(pod.metadata.uid ?? "")) process.kill(pid, "SIGKILL");
};
