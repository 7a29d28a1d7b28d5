// What does a file say now, and when does that change? (files that Kubernetes mounts are replaced by renaming a directory beside them)

import { watch as watchPath } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { World } from "../runtime/world.ts";

export type WatchFileOptions = {
  readonly path: string;
  readonly world: World;
  /** Called with the content when it is first read and whenever it differs from what was told last; undefined: there is no such file. */
  readonly onContent: (content: Buffer | undefined) => void;
  /** It is there and cannot be read. */
  readonly onError: (error: string) => void;
  /** How long it must be quiet before the file is read again. */
  readonly debounceMs?: number;
};

const DEBOUNCE_MS = 2_000;
const MAX_DEBOUNCES = 5;
/** Read at least this often: a directory may not be there yet, or be on a file system that tells nothing. */
const POLL_MS = 60_000;

const isMissing = (e: unknown): boolean => e instanceof Error && "code" in e && (e.code === "ENOENT" || e.code === "ENOTDIR");

/** Reads the file once before it resolves, then follows it until the signal aborts; `done` resolves when that has ended. */
export const watchFile = async (options: WatchFileOptions, signal: AbortSignal): Promise<{ readonly done: Promise<void> }> => {
  const { path, world, onContent, onError, debounceMs = DEBOUNCE_MS } = options;
  let told: Buffer | undefined | "nothing yet" = "nothing yet";
  const look = async (): Promise<void> => {
    let content: Buffer | undefined;
    try {
      content = await readFile(path);
    } catch (e) {
      if (!isMissing(e)) return onError(e instanceof Error ? e.message : String(e));
    }
    const same = told !== "nothing yet" && (told === undefined || content === undefined ? told === content : told.equals(content));
    if (same || signal.aborted) return;
    told = content;
    onContent(content);
  };
  await look();
  return { done: follow({ directory: dirname(path), look, world, debounceMs }, signal) };
};

type Following = { readonly directory: string; look(): Promise<void>; readonly world: World; readonly debounceMs: number };

const follow = async ({ directory, look, world, debounceMs }: Following, signal: AbortSignal): Promise<void> => {
  let wake = new AbortController();
  let dirty = false;
  const changed = (): void => {
    dirty = true;
    wake.abort();
  };
  /** False: woken. */
  const slept = async (ms: number, by: AbortSignal): Promise<boolean> =>
    world.sleep(ms, AbortSignal.any([signal, by])).then(
      () => true,
      () => false,
    );
  while (!signal.aborted) {
    const watcher = watched(directory, changed);
    // What happened between the last look and the watch.
    if (watcher !== undefined) await look();
    await slept(POLL_MS, wake.signal);
    // Until it has been quiet for as long as it takes; where it never is, every few times.
    for (let more = MAX_DEBOUNCES; dirty && more > 0 && !signal.aborted; more--) {
      wake = new AbortController();
      dirty = false;
      await slept(debounceMs, wake.signal);
    }
    // Looked at before the watch is given up: the next one begins with a look as well.
    await look();
    watcher?.close();
  }
};

/** undefined: the directory cannot be watched (now); then it is looked at once in a while. */
const watched = (directory: string, changed: () => void): { close(): void } | undefined => {
  try {
    const watcher = watchPath(directory, { persistent: false }, changed);
    watcher.on("error", changed);
    return watcher;
  } catch {
    // It does not exist yet, or the machine has no watches left.
    return undefined;
  }
};
