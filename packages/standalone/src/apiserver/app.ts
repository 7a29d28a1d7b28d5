// How is the API server put together, started and stopped?

import { randomUUID } from "node:crypto";
import type { Http2SecureServer, ServerHttp2Session } from "node:http2";
import { type AddressInfo, isIPv6, type Socket } from "node:net";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { aborted } from "@ambit/shared/runtime/run.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { bootstrapObjects, type Endpoint } from "./bootstrap.ts";
import { kubeconfigText } from "./ca/kubeconfig.ts";
import { makeDirs, openPki, type Pki, writeSecret } from "./ca/store.ts";
import { type ApiServerConfig, FABRIC_ADDRESS, type FabricListener } from "./config.ts";
import { applyDefinitions } from "./crd/apply.ts";
import { runHousekeeping } from "./housekeeping/run.ts";
import { groupOf, type KubeObject, sameJson } from "./model/object.ts";
import { createRegistry } from "./registry/registry.ts";
import type { Api, Log } from "./rest/api.ts";
import { createListener } from "./rest/server.ts";
import { rfc3339 } from "./runtime/time.ts";
import { openLog, StorageError } from "./storage/log.ts";
import { openStore, type Store } from "./storage/store.ts";
import { planCreate } from "./write/create.ts";
import { planUpdate } from "./write/update.ts";

export type ApiServer = AsyncDisposable & {
  /** "https://127.0.0.1:6443": where this process's own namespace reaches it. */
  readonly url: string;
  readonly port: number;
  readonly kubeconfig: string;
  readonly caPem: string;
  readonly pki: Pki;
  /** Resolves after the signal has aborted and everything is closed. */
  run(signal: AbortSignal): Promise<void>;
};

export type Deps = {
  readonly world: World;
  readonly log: Log;
  /** Makes a listening TCP socket inside a network namespace and returns its fd. */
  readonly listenIn?: (where: FabricListener) => number;
};

/** Start-up cannot go on; the message is one sentence for a person. */
export class StartError extends Error {}

const DNS_NAMES = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];
const ADDRESSES = ["127.0.0.1", "::1", FABRIC_ADDRESS, "fd00:30::1", "10.96.0.1", "fd00:96::1"];

const codeOf = (e: unknown): string => (e instanceof Error && "code" in e ? String(e.code) : "");

const openDataDir = (dir: string, now: number, extra: readonly string[]): Pki => {
  try {
    makeDirs(dir);
    return openPki({ dir: join(dir, "pki"), now, dnsNames: DNS_NAMES, addresses: [...new Set([...ADDRESSES, ...extra])] });
  } catch (e) {
    const code = codeOf(e);
    if (code === "EACCES" || code === "EROFS" || code === "EPERM" || code === "ENOENT")
      throw new StartError(`the data directory ${dir} is not writable (${code})`, { cause: e });
    if (code === "ENOSPC") throw new StartError(`the data directory ${dir} cannot be written: the disk is full`, { cause: e });
    if (code === "ENOTDIR" || code === "EEXIST") throw new StartError(`the data directory ${dir} is not a directory`, { cause: e });
    throw new StartError(`the data directory ${dir} cannot be used: ${e instanceof Error ? e.message : String(e)}`, { cause: e });
  }
};

const listening = (server: Http2SecureServer, options: { host: string; port: number } | { fd: number }): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once("error", (e) => {
      if (codeOf(e) === "EADDRINUSE" && "port" in options)
        reject(
          new StartError(`port ${options.port} on ${options.host} is in use: choose another port, or stop what listens there`, {
            cause: e,
          }),
        );
      else if (codeOf(e) === "EACCES" && "port" in options)
        reject(new StartError(`port ${options.port} on ${options.host} cannot be opened without root`, { cause: e }));
      else reject(new StartError(`the API server cannot listen: ${e.message}`, { cause: e }));
    });
    server.listen(options, () => {
      const at = server.address() as AddressInfo | null; // null for an fd whose address libuv does not tell
      resolve(at?.port ?? 0);
    });
  });

const bootstrap = async (api: Api, endpoint: Endpoint | undefined): Promise<void> => {
  const options = { dryRun: false, manager: "kube-apiserver", force: true, validation: "strict" } as const;
  const waits: Promise<void>[] = [];
  for (const { object, keep } of bootstrapObjects(endpoint)) {
    const resource = api.registry.byKind(groupOf(object.apiVersion), object.kind);
    if (resource === undefined) throw new Error(`no resource for ${object.kind}`);
    const { namespace, name = "" } = object.metadata;
    const old = api.store.latest.get(resource.bucket, namespace === undefined ? name : `${namespace}/${name}`);
    if (old !== undefined && (!keep || contains(old, object))) continue;
    const plan =
      old === undefined
        ? planCreate({ resource, namespace, body: object, options }, api.writeEnv())
        : planUpdate({ target: { resource, namespace, name }, body: object, options }, api.writeEnv());
    if (plan.write !== undefined) waits.push(api.store.stage(plan.write.bucket, plan.write.key, plan.write.object).durable);
  }
  await Promise.all(waits);
};

/** Does the stored object still say all that the wanted one says (metadata's labels and annotations aside)? */
const contains = (old: KubeObject, wanted: KubeObject): boolean =>
  Object.entries(wanted).every(([k, v]) => k === "metadata" || sameJson(old[k], v));

const writeKubeconfigs = (pki: Pki, { dataDir, nodes }: ApiServerConfig, servers: { local: string; fabric: string }): string => {
  const write = (
    file: string,
    server: string,
    { user, groups, pair }: { user: string; groups: readonly string[]; pair: string },
  ): string => {
    const { keyPem, certificatePem } = pki.client(pair, user, groups);
    const path = join(dataDir, file);
    writeSecret(path, kubeconfigText({ server, caPem: pki.caPem, certificatePem, keyPem, user }));
    return path;
  };
  write("controllers.kubeconfig", servers.local, { user: "system:kube-controller-manager", groups: [], pair: "controllers" });
  for (let n = 1; n <= nodes; n++)
    write(`node${n}.kubeconfig`, servers.fabric, { user: `system:node:node${n}`, groups: ["system:nodes"], pair: `node${n}` });
  return write("kubeconfig", servers.local, { user: "kubernetes-admin", groups: ["system:masters"], pair: "admin" });
};

const openStorage = (dataDir: string, history: number, log: Log): Store =>
  openStore(openLog(join(dataDir, "ambit.db")), {
    history,
    onFailure: (e) => log("write failed", { error: e.message }),
  });

const createApi = (
  store: Store,
  { config, deps, pki, stopping }: { config: ApiServerConfig; deps: Deps; pki: Pki; stopping: AbortSignal },
): Api => ({
  store,
  registry: createRegistry(),
  world: deps.world,
  log: deps.log,
  tokenKey: pki.tokenKey,
  bookmarkMs: config.bookmarkMs,
  stopping,
  writeEnv: () => {
    const now = deps.world.now();
    return {
      now: rfc3339(now),
      after: (seconds) => rfc3339(now + seconds * 1000),
      newUid: () => randomUUID(),
      random: () => deps.world.random(),
      view: store.latest,
    };
  },
});

type Connections = { readonly raw: Set<Socket>; readonly tls: Set<TLSSocket>; readonly sessions: Set<ServerHttp2Session> };

/** Connections are followed, so that stopping need not wait for clients that keep one open. */
const followConnections = (server: Http2SecureServer, { raw, tls, sessions }: Connections): void => {
  server.on("connection", (socket: Socket) => {
    raw.add(socket);
    socket.once("close", () => raw.delete(socket));
  });
  server.on("secureConnection", (socket: TLSSocket) => {
    tls.add(socket);
    socket.once("close", () => tls.delete(socket));
  });
  server.on("session", (session: ServerHttp2Session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  // A client that breaks off its handshake or connection is no event for anyone else.
  server.on("tlsClientError", (_e, socket) => void socket.destroy());
  server.on("sessionError", (_e, session) => void session.destroy());
};

const GOODBYE_MS = 1000;

/** Requests in hand are answered and watches ended cleanly; whoever has not taken that in a second is cut off. */
const disconnect = async (
  servers: readonly Http2SecureServer[],
  connections: Connections,
  { quiet, world }: { quiet: () => Promise<unknown>; world: World },
): Promise<void> => {
  const closed = Promise.all(servers.map((s) => new Promise<void>((resolve) => (s.listening ? s.close(() => resolve()) : resolve()))));
  const over = new AbortController();
  const late = world.sleep(GOODBYE_MS, over.signal).catch((e: unknown) => {
    if (!over.signal.aborted) throw e;
  });
  await Promise.race([quiet(), late]);
  for (const session of connections.sessions) session.close();
  for (const socket of connections.tls) socket.destroySoon();
  await Promise.race([closed, late]);
  over.abort();
  for (const session of connections.sessions) session.destroy();
  // With those that have not finished their handshake.
  for (const socket of connections.raw) socket.destroy();
  await closed;
};

/** Opens the data directory, binds all listeners, makes the first objects. Throws StartError or StorageError with one sentence. */
export const build = async (config: ApiServerConfig, deps: Deps): Promise<ApiServer> => {
  const pki = openDataDir(config.dataDir, deps.world.now(), [
    config.address,
    ...(config.fabric === undefined ? [] : [config.fabric.address]),
  ]);
  const store = openStorage(config.dataDir, config.history, deps.log);
  const stop = new AbortController();
  const servers: Http2SecureServer[] = [];
  const connections: Connections = { raw: new Set(), tls: new Set(), sessions: new Set() };
  const inHand = { quiet: (): Promise<unknown> => Promise.resolve() };
  const close = async (): Promise<void> => {
    if (stop.signal.aborted) return;
    stop.abort();
    await disconnect(servers, connections, { quiet: inHand.quiet, world: deps.world });
    store.close();
  };
  try {
    const api = createApi(store, { config, deps, pki, stopping: stop.signal });
    applyDefinitions(api);
    await bootstrap(api, config.fabric);
    const listener = createListener(api, pki);
    inHand.quiet = listener.quiet;
    const bind = async (options: { host: string; port: number } | { fd: number }): Promise<number> => {
      const server = listener.server();
      followConnections(server, connections);
      servers.push(server);
      return listening(server, options);
    };
    const port = await bind({ host: config.address, port: config.port });
    if (config.fabric !== undefined) {
      if (deps.listenIn === undefined) throw new StartError("listening inside a network namespace is not possible here");
      await bind({ fd: deps.listenIn(config.fabric) });
    }
    const chores = runHousekeeping(api);
    const host = isIPv6(config.address) ? `[${config.address}]` : config.address;
    const url = `https://${host}:${port}`;
    const fabric = config.fabric === undefined ? url : `https://${config.fabric.address}:${config.fabric.port}`;
    const kubeconfig = writeKubeconfigs(pki, config, { local: url, fabric });
    return {
      url,
      port,
      kubeconfig,
      caPem: pki.caPem,
      pki,
      run: async (signal) => {
        await Promise.race([aborted(signal), chores]);
        await close();
        await chores;
      },
      [Symbol.asyncDispose]: close,
    };
  } catch (e) {
    await close();
    if (e instanceof StorageError) throw new StartError(e.message, { cause: e });
    throw e;
  }
};
