// What does an API server look like to a client that lists, watches, applies and deletes? (in memory, over real HTTP; test data only)

import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { KubeConfig } from "@ambit/shared/kube/config.ts";
import type { KubeObject } from "@ambit/shared/kube/objects/meta.ts";

/** "/api/v1/namespaces/shop/configmaps/x" → the collection's path without namespace, the namespace and the name. */
const split = (path: string): { readonly plural: string; readonly namespace: string; readonly name: string } => {
  const [, root = "", namespace = "", plural = "", name = ""] =
    /^(\/api\/v1|\/apis\/[^/]+\/[^/]+)\/namespaces\/([^/]+)\/([^/]+)(?:\/([^/]+))?$/.exec(path) ?? [];
  if (plural !== "") return { plural: `${root}/${plural}`, namespace, name };
  return { plural: path, namespace: "", name: "" };
};

type Held = KubeObject & { readonly metadata: { readonly resourceVersion: string } };

export type ObjectServer = AsyncDisposable & {
  readonly config: KubeConfig;
  /** As somebody else would: puts, replaces or removes an object. */
  put(plural: string, object: KubeObject): void;
  remove(plural: string, key: string): void;
  get(plural: string, key: string): Held | undefined;
  /** Resolves when it holds, which is looked at after every change; rejects after 5 s. */
  until(holds: () => boolean, says: string): Promise<void>;
  /** Writes that clients made, as "PATCH ns/name". */
  readonly writes: readonly string[];
};

export const startObjectServer = async (): Promise<ObjectServer> => {
  const collections = new Map<string, Map<string, Held>>();
  const watches = new Map<ServerResponse, { readonly plural: string; readonly name: string | undefined }>();
  const waiters = new Set<() => void>();
  const writes: string[] = [];
  let version = 1;

  const collection = (plural: string): Map<string, Held> => {
    const c = collections.get(plural) ?? new Map<string, Held>();
    collections.set(plural, c);
    return c;
  };
  const keyOf = (o: KubeObject): string =>
    (o.metadata.namespace ?? "") === "" ? o.metadata.name : `${o.metadata.namespace}/${o.metadata.name}`;
  const tell = (plural: string, type: string, object: Held): void => {
    for (const [res, w] of watches)
      if (w.plural === plural && (w.name === undefined || w.name === object.metadata.name))
        res.write(`${JSON.stringify({ type, object })}\n`);
    for (const look of [...waiters]) look();
  };
  const put = (plural: string, object: KubeObject): Held => {
    const key = keyOf(object);
    const old = collection(plural).get(key);
    version += 1;
    const held = { ...object, metadata: { uid: old?.metadata.uid ?? randomUUID(), ...object.metadata, resourceVersion: String(version) } };
    collection(plural).set(key, held);
    tell(plural, old === undefined ? "ADDED" : "MODIFIED", held);
    return held;
  };
  const remove = (plural: string, key: string): void => {
    const old = collection(plural).get(key);
    if (old === undefined) return;
    collection(plural).delete(key);
    version += 1;
    tell(plural, "DELETED", { ...old, metadata: { ...old.metadata, resourceVersion: String(version) } });
  };

  const answer = (res: ServerResponse, status: number, body: unknown): void => {
    res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  };
  const read = (url: URL, res: ServerResponse): void => {
    const { plural, namespace, name } = split(url.pathname);
    if (name !== "") {
      const found = collection(plural).get(`${namespace}/${name}`);
      if (found === undefined) answer(res, 404, { kind: "Status", code: 404, reason: "NotFound" });
      else answer(res, 200, found);
      return;
    }
    const only = /^metadata\.name=(.+)$/.exec(url.searchParams.get("fieldSelector") ?? "")?.[1];
    if (url.searchParams.get("watch") === "true") {
      res.writeHead(200, { "content-type": "application/json" }).flushHeaders();
      watches.set(res, { plural, name: only });
      res.once("close", () => watches.delete(res));
      const since = Number(url.searchParams.get("resourceVersion") ?? "0");
      // What changed between the list and here. Nothing is deleted in that time in the tests that use this.
      for (const o of collection(plural).values()) if (Number(o.metadata.resourceVersion) > since) tell(plural, "MODIFIED", o);
      return;
    }
    const items = [...collection(plural).values()].filter((o) => only === undefined || o.metadata.name === only);
    answer(res, 200, { kind: "List", metadata: { resourceVersion: String(version) }, items });
  };
  const write = async (req: IncomingMessage, url: URL, res: ServerResponse): Promise<void> => {
    const { plural, namespace, name } = split(url.pathname);
    let body = "";
    for await (const chunk of req) body += String(chunk);
    writes.push(`${req.method} ${namespace}/${name}`);
    const there = collection(plural).get(`${namespace}/${name}`);
    answer(res, 200, put(plural, { ...there, ...(JSON.parse(body) as KubeObject) }));
  };
  const server = createServer((req, res) => {
    const url = new URL(req.url ?? "/", "http://x");
    if (req.method === "GET") read(url, res);
    else void write(req, url, res);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;

  return {
    config: { server: `http://127.0.0.1:${port}`, namespace: "default", tls: () => ({}), headers: async () => ({}) },
    put: (plural, object) => void put(plural, object),
    remove,
    get: (plural, key) => collection(plural).get(key),
    until: (holds, says) =>
      new Promise((resolve, reject) => {
        const late = AbortSignal.timeout(5_000);
        const onLate = (): void => {
          waiters.delete(look);
          reject(new Error(`not within 5 s: ${says}`));
        };
        const look = (): void => {
          if (!holds()) return;
          waiters.delete(look);
          late.removeEventListener("abort", onLate);
          resolve();
        };
        late.addEventListener("abort", onLate, { once: true });
        waiters.add(look);
        look();
      }),
    writes,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
};
