// How does a client watch a container that runs?

import { once } from "node:events";
import { followLogs } from "../container/logs.ts";
import { exitStatus } from "./channels.ts";
import type { RemoteEnd } from "./remote.ts";

/** Passes on what the container says from now on (its log) until it ends or the client leaves; containers have no standard input. */
export const serveAttach = async (remote: RemoteEnd, logPath: string, ended: Promise<void> | undefined): Promise<void> => {
  const over = new AbortController();
  void ended?.then(() => over.abort());
  const signal = AbortSignal.any([over.signal, remote.left]);
  remote.stdin?.resume();
  const to = remote.stdout;
  for await (const text of followLogs(logPath, { timestamps: false, tailLines: 0 }, signal))
    if (to !== undefined && !to.write(text) && !remote.left.aborted) await once(to, "drain", { signal: remote.left }).catch(() => {}); // it left
  await remote.finish(exitStatus(0));
};
