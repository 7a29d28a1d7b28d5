// How does a watch stream: first state, changes, bookmarks, its end?

import type { World } from "@ambit/shared/runtime/world.ts";
import { ApiError, badRequest, statusOf } from "../model/errors.ts";
import { apiVersionOf, type KubeObject } from "../model/object.ts";
import { objectText, type View } from "../read/present.ts";
import { checkSelection, type Selection, selects } from "../read/select.ts";
import type { ListOptions } from "../rest/options.ts";
import type { Change, Store } from "../storage/store.ts";
import { observed, type WatchType } from "./events.ts";

/** Where the stream goes: an HTTP response's body. */
export type Sink = {
  write(text: string): void;
  /** Bytes written but not yet taken by the client's connection. */
  backlog(): number;
  end(): void;
  /** Cuts the connection: the client must see that events are missing. */
  abort(): void;
};

export type WatchRequest = {
  readonly selection: Selection;
  readonly options: ListOptions;
  readonly view: Omit<View, "now">;
};

export type WatchDeps = { readonly store: Store; readonly world: World; readonly bookmarkMs: number };

const BACKLOG_LIMIT = 32 * 1024 * 1024;
/** As kube-apiserver's --min-request-timeout: between this and twice this when the client names no timeout. */
const MIN_TIMEOUT_S = 1800;

const frames = new WeakMap<Change, Map<string, string>>();

const frame = (type: string, object: string): string => `{"type":"${type}","object":${object}}\n`;

/** The line for a change; all watchers of the same version get the same text. */
const changeFrame = (
  change: Change,
  type: WatchType,
  { selection, view, now }: { selection: Selection; view: WatchRequest["view"]; now: number },
): string => {
  const make = (): string => frame(type, objectText(selection.resource, change.object, { ...view, now }));
  if (view.encoding.as !== "json") return make();
  const cache = frames.get(change) ?? new Map<string, string>();
  frames.set(change, cache);
  const key = `${type} ${selection.resource.version} ${selection.resource.group}`;
  const have = cache.get(key);
  if (have !== undefined) return have;
  const made = make();
  cache.set(key, made);
  return made;
};

const bookmark = ({ resource }: Selection, rv: number, initialEnd: boolean): string =>
  frame(
    "BOOKMARK",
    JSON.stringify({
      kind: resource.kind,
      apiVersion: apiVersionOf(resource.group, resource.version),
      metadata: {
        resourceVersion: String(rv),
        creationTimestamp: null,
        ...(initialEnd ? { annotations: { "k8s.io/initial-events-end": "true" } } : {}),
      },
    }),
  );

const checkOptions = ({ options, selection }: WatchRequest): void => {
  checkSelection(selection);
  if (options.initialEvents && (options.match !== "NotOlderThan" || !options.bookmarks))
    throw badRequest("sendInitialEvents needs resourceVersionMatch=NotOlderThan and allowWatchBookmarks=true");
  if (!options.initialEvents && options.match !== undefined) throw badRequest("resourceVersionMatch is forbidden for watch");
};

/** The stream's first part: current state or the changes missed, each as a line. An ERROR line ends the stream. */
const opening = ({ selection: s, options, view }: WatchRequest, store: Store, now: number): { lines: string[]; failed: boolean } => {
  const added = (o: KubeObject): string => frame("ADDED", objectText(s.resource, o, { ...view, now }));
  const rv = options.resourceVersion ?? 0;
  if (options.initialEvents || rv === 0) {
    const lines = store.committed
      .list(s.resource.bucket, s.namespace)
      .filter((o) => selects(s, o))
      .map(added);
    if (options.initialEvents) lines.push(bookmark(s, store.revision(), true));
    return { lines, failed: false };
  }
  const missed = store.since(s.resource.bucket, rv);
  if (missed === undefined) {
    const gone = new ApiError(410, "Expired", `too old resource version: ${rv} (${store.floor()})`);
    return { lines: [frame("ERROR", JSON.stringify(statusOf(gone)))], failed: true };
  }
  const lines = missed.flatMap((c) => {
    const type = observed(s, c);
    return type === undefined ? [] : [changeFrame(c, type, { selection: s, view, now })];
  });
  return { lines, failed: false };
};

/** Streams until the signal aborts (the client left, the server stops, the resource went) or the watch's time is over. */
export const serveWatch = async (
  request: WatchRequest,
  sink: Sink,
  { deps, signal }: { deps: WatchDeps; signal: AbortSignal },
): Promise<void> => {
  checkOptions(request);
  const { store, world, bookmarkMs } = deps;
  const { selection, options, view } = request;
  const started = world.now();
  const first = opening(request, store, started);
  sink.write(first.lines.join(""));
  if (first.failed) {
    sink.end();
    return;
  }
  const stop = new AbortController();
  const ended = AbortSignal.any([signal, stop.signal]);
  const unsubscribe = store.subscribe(selection.resource.bucket, (changes) => {
    const now = world.now();
    let text = "";
    for (const c of changes) {
      const type = observed(selection, c);
      if (type !== undefined) text += changeFrame(c, type, { selection, view, now });
    }
    if (text !== "") sink.write(text);
    if (sink.backlog() > BACKLOG_LIMIT) {
      sink.abort();
      stop.abort();
    }
  });
  const seconds = options.timeoutSeconds || MIN_TIMEOUT_S * (1 + world.random());
  const deadline = started + seconds * 1000;
  try {
    while (!ended.aborted) {
      const left = deadline - world.now();
      if (left <= 0) break;
      await world.sleep(Math.min(left, options.bookmarks ? bookmarkMs : left), ended);
      if (options.bookmarks) sink.write(bookmark(selection, store.revision(), false));
    }
  } catch (e) {
    if (!ended.aborted) throw e;
  } finally {
    unsubscribe();
  }
  sink.end();
};
