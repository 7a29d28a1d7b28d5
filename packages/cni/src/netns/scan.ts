// Which network namespace is a pod's? (a scan of /proc, checked against the pod's own address)

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Netns, openNetns, ownNetns, sameNetns } from "@ambit/shared/linux/netns.ts";
import { ownsAddress, podUidOf } from "./find.ts";

const VANISHED = new Set(["ENOENT", "ESRCH", "EACCES", "EINVAL"]);

/** A file of a process that may be gone by now: then undefined. */
const readIfThere = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8");
  } catch (e) {
    if (VANISHED.has((e as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw e;
  }
};

const openIfThere = (path: string): Netns | undefined => {
  try {
    return openNetns(path);
  } catch (e) {
    if (VANISHED.has((e as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw e;
  }
};

export type Sought = { readonly uid: string; readonly addresses: readonly string[] };

/**
 * The namespaces of the pods sought, by uid; absent where no process of the pod runs yet. The caller closes them.
 * A namespace that is our own, or that owns none of the pod's addresses, is never returned.
 */
export const findNetns = (procRoot: string, sought: readonly Sought[]): ReadonlyMap<string, Netns> => {
  const wanted = new Map(sought.map((s) => [s.uid, s]));
  const found = new Map<string, Netns>();
  using home = ownNetns();
  for (const pid of readdirSync(procRoot)) {
    if (!/^\d+$/.test(pid)) continue;
    const cgroup = readIfThere(join(procRoot, pid, "cgroup"));
    const uid = cgroup === undefined ? undefined : podUidOf(cgroup);
    const pod = uid === undefined || found.has(uid) ? undefined : wanted.get(uid);
    if (pod === undefined) continue;
    const net = (file: string): string => readIfThere(join(procRoot, pid, "net", file)) ?? "";
    if (!ownsAddress(pod.addresses, net("fib_trie"), net("if_inet6"))) continue;
    const netns = openIfThere(join(procRoot, pid, "ns", "net"));
    if (netns === undefined) continue;
    if (sameNetns(netns.identity, home.identity)) netns[Symbol.dispose]();
    else found.set(pod.uid, netns);
    if (found.size === wanted.size) break;
  }
  return found;
};
