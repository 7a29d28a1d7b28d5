// How do this package's tests talk to a real API server: in process, over TLS, and by kubectl?

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { type ApiServer, build } from "../app.ts";
import type { ApiServerConfig } from "../config.ts";
import { type JsonObject, obj, str } from "../model/object.ts";
import type { Log } from "../rest/api.ts";

export type Answer = { readonly code: number; readonly body: JsonObject; readonly headers: IncomingMessage["headers"] };

export type Call = {
  readonly body?: unknown;
  readonly type?: string;
  readonly accept?: string;
  readonly token?: string;
  readonly headers?: { readonly [name: string]: string };
};

export type WatchStream = AsyncDisposable & {
  /** The next event; rejects after ten seconds. */
  next(): Promise<{ readonly type: string; readonly object: JsonObject }>;
  /** Resolves when the server has ended the stream. */
  ended(): Promise<void>;
};

export type Client = {
  call(method: string, path: string, options?: Call): Promise<Answer>;
  watch(path: string): Promise<WatchStream>;
};

export type TlsIdentity = { readonly caPem: string; readonly certificatePem?: string; readonly keyPem?: string };

const DEADLINE_MS = 10_000;

const within = <T>(what: string, p: Promise<T>): Promise<T> => {
  const signal = AbortSignal.timeout(DEADLINE_MS);
  return Promise.race([
    p,
    new Promise<T>((_resolve, reject) =>
      signal.addEventListener("abort", () => reject(new Error(`${what}: nothing within ${DEADLINE_MS} ms`)), { once: true }),
    ),
  ]);
};

const asJson = (text: string): JsonObject => (text.startsWith("{") ? obj(JSON.parse(text)) : { text });

/** A client with (or, without certificate, not with) a client certificate. */
export const createClient = (url: string, tls: TlsIdentity): Client => {
  const agent = new Agent({
    keepAlive: true,
    ca: tls.caPem,
    ...(tls.certificatePem === undefined ? {} : { cert: tls.certificatePem, key: tls.keyPem }),
  });
  const send = async (method: string, path: string, o: Call): Promise<IncomingMessage> => {
    const text = o.body === undefined ? undefined : typeof o.body === "string" ? o.body : JSON.stringify(o.body);
    const req = request(new URL(path, url), {
      method,
      agent,
      headers: {
        accept: o.accept ?? "application/json",
        "user-agent": "test/1",
        ...(text === undefined ? {} : { "content-type": o.type ?? "application/json", "content-length": Buffer.byteLength(text) }),
        ...(o.token === undefined ? {} : { authorization: `Bearer ${o.token}` }),
        ...o.headers,
      },
    });
    req.end(text);
    const [response]: IncomingMessage[] = await within(`${method} ${path}`, once(req, "response"));
    if (response === undefined) throw new Error("no response");
    return response;
  };
  return {
    call: async (method, path, o = {}) => {
      const response = await send(method, path, o);
      const chunks: Buffer[] = [];
      for await (const c of response) chunks.push(c);
      return { code: response.statusCode ?? 0, body: asJson(Buffer.concat(chunks).toString()), headers: response.headers };
    },
    watch: async (path) => {
      const response = await send("GET", path, {});
      if (response.statusCode !== 200) throw new Error(`watch ${path}: ${response.statusCode}`);
      const lines = createInterface({ input: response })[Symbol.asyncIterator]();
      return {
        next: async () => {
          const line = await within(`watch ${path}`, lines.next());
          if (line.done === true) throw new Error("the watch has ended");
          const event = asJson(line.value);
          return { type: str(event.type) ?? "", object: obj(event.object) };
        },
        ended: async () => {
          while ((await within(`end of ${path}`, lines.next())).done !== true);
        },
        [Symbol.asyncDispose]: async () => void response.destroy(),
      };
    },
  };
};

export type TestServer = AsyncDisposable & {
  readonly app: ApiServer;
  readonly dir: string;
  /** With the admin's certificate. */
  readonly admin: Client;
  /** Without any credentials of its own. */
  readonly anonymous: Client;
  kubectl(args: readonly string[], input?: string): Promise<{ readonly code: number; readonly out: string; readonly err: string }>;
  /** Moves the server's clock. */
  advance(ms: number): void;
  /** Stops it and starts another on the same data. */
  restart(): Promise<void>;
};

export const testConfig = (dataDir: string, more: Partial<ApiServerConfig> = {}): ApiServerConfig => ({
  dataDir,
  address: "127.0.0.1",
  port: 0,
  fabric: undefined,
  nodes: 1,
  history: 5000,
  bookmarkMs: 30_000,
  ...more,
});

export const adminOf = (app: ApiServer): Client =>
  createClient(app.url, { caPem: app.caPem, ...app.pki.client("admin", "kubernetes-admin", ["system:masters"]) });

/** Runs kubectl to its end. */
export const runKubectl = async (
  kubeconfig: string,
  args: readonly string[],
  input = "",
): Promise<{ code: number; out: string; err: string }> => {
  const child = spawn("kubectl", [...args], { env: { PATH: "/usr/local/bin:/usr/bin:/bin", KUBECONFIG: kubeconfig, HOME: tmpdir() } });
  const texts = { out: "", err: "" };
  child.stdout.on("data", (d: Buffer) => {
    texts.out += d.toString();
  });
  child.stderr.on("data", (d: Buffer) => {
    texts.err += d.toString();
  });
  child.stdin.end(input);
  const [code]: unknown[] = await once(child, "close");
  return { code: typeof code === "number" ? code : -1, ...texts };
};

/** A server on a fresh data directory, which goes with it. Unexpected failures of requests are thrown at the end. */
export const startServer = async (more: Partial<ApiServerConfig> = {}): Promise<TestServer> => {
  const dir = mkdtempSync(join(tmpdir(), "ambit-apiserver-"));
  const failures: string[] = [];
  const clock = { ahead: 0 };
  const real = realWorld();
  const world: World = { ...real, now: () => real.now() + clock.ahead };
  const log: Log = (event, fields) => {
    if (event === "request failed") failures.push(JSON.stringify(fields));
  };
  let app = await build(testConfig(dir, more), { world, log });
  let admin = adminOf(app);
  return {
    get app() {
      return app;
    },
    dir,
    get admin() {
      return admin;
    },
    get anonymous() {
      return createClient(app.url, { caPem: app.caPem });
    },
    kubectl: (args, input) => runKubectl(app.kubeconfig, args, input),
    advance: (ms) => {
      clock.ahead += ms;
    },
    restart: async () => {
      await app[Symbol.asyncDispose]();
      app = await build(testConfig(dir, more), { world, log });
      admin = adminOf(app);
    },
    [Symbol.asyncDispose]: async () => {
      await app[Symbol.asyncDispose]();
      rmSync(dir, { recursive: true });
      if (failures.length > 0) throw new Error(`requests failed: ${failures.join("\n")}`);
    },
  };
};
