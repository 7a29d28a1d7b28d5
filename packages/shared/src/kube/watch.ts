// What does one watch request say, event by event?

import type { KubeConnection } from "./connect.ts";
import { kubeErrorFrom } from "./error.ts";
import type { KubeObject } from "./objects/meta.ts";

export type WatchEvent<T extends KubeObject> =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: T }
  | { readonly type: "BOOKMARK"; readonly resourceVersion: string };

const MAX_LINE = 32 * 1024 * 1024;

/**
 * One watch: yields the events of each received chunk together, ends when the server ends it.
 * Throws KubeError for a refusal (410 as an answer and 410 as an ERROR event look the same), Error for lines that are no events.
 */
export async function* watchOnce<T extends KubeObject>(
  connection: KubeConnection,
  req: { path: string; query: Readonly<Record<string, string | number | boolean | undefined>> },
  signal: AbortSignal,
): AsyncGenerator<readonly WatchEvent<T>[]> {
  const body = await connection.stream({ method: "GET", path: req.path, query: { ...req.query, watch: true }, signal });
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > MAX_LINE) throw new Error(`watch ${req.path}: a line longer than ${MAX_LINE} characters`);
    const events = lines.filter((l) => l.trim() !== "").map((l) => parseEvent<T>(l, req.path));
    if (events.length > 0) yield events;
  }
  // A partial last line is a connection cut in mid-event: what it announced comes again after resuming.
}

const parseEvent = <T extends KubeObject>(line: string, path: string): WatchEvent<T> => {
  const event = parse(line, path);
  if (typeof event !== "object" || event === null || !("type" in event) || !("object" in event)) throw garbage(path, line);
  const object = event.object as T & { code?: number };
  switch (event.type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
      if (typeof object?.metadata?.name !== "string") throw garbage(path, line);
      return { type: event.type, object };
    case "BOOKMARK":
      if (typeof object?.metadata?.resourceVersion !== "string") throw garbage(path, line);
      return { type: "BOOKMARK", resourceVersion: object.metadata.resourceVersion };
    case "ERROR":
      throw kubeErrorFrom(`watch ${path}`, { status: typeof object?.code === "number" ? object.code : 500, body: object });
    default:
      throw garbage(path, line);
  }
};

const parse = (line: string, path: string): unknown => {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    throw garbage(path, line);
  }
};

const garbage = (path: string, line: string): Error => new Error(`watch ${path}: not a watch event: ${JSON.stringify(line.slice(0, 120))}`);
