// Where is the API server, and with what do we present ourselves to it?

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

export type TlsMaterial = {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
};

export type KubeConfig = {
  /** Origin and optional path prefix, e.g. https://127.0.0.1:6443. */
  readonly server: string;
  /** The namespace of the context, or of the pod in a cluster. */
  readonly namespace: string;
  /** Read anew for each set of connections, so that rotated files are picked up. */
  tls(): TlsMaterial;
  /** Headers of one request; a token file is read anew, so that rotated tokens are used. */
  headers(): Promise<Readonly<Record<string, string>>>;
};

/** A kubeconfig file and one of its contexts (else its current one); without a file, the pod's own service account. */
export type KubeConfigSource = {
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  /** Of a pod: its variables (KUBERNETES_SERVICE_HOST and _PORT are read). Without them client-node looks for itself, at the cost of loading it. */
  readonly env?: Readonly<Record<string, string | undefined>>;
};

const POD_DIR = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * The kubeconfig file's current context through @kubernetes/client-node (client certificates, tokens, token files, exec
 * plugins, OIDC), or the pod's own service account when no file is given. Throws one clear sentence when it cannot be used.
 */
export const readKubeConfig = (where: KubeConfigSource = {}): KubeConfig =>
  where.kubeconfig === undefined || where.kubeconfig === "" ? inCluster(where.env) : fromFile(where.kubeconfig, where.context);

/** A pod's config read by ourselves: loading all of client-node would cost every pod half a second of CPU at start. */
const inCluster = (env: KubeConfigSource["env"]): KubeConfig => {
  const server = env === undefined ? serverByLibrary() : serverFrom(env);
  return {
    server,
    namespace: readText(`${POD_DIR}/namespace`).trim(),
    tls: () => ({ ca: readText(`${POD_DIR}/ca.crt`) }),
    headers: async () => ({ authorization: `Bearer ${readText(`${POD_DIR}/token`).trim()}` }),
  };
};

const NOT_INSIDE = "no kubeconfig given, and KUBERNETES_SERVICE_HOST/KUBERNETES_SERVICE_PORT are not set: not inside a cluster";

const serverFrom = (env: Readonly<Record<string, string | undefined>>): string => {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (host === undefined || port === undefined) throw new Error(NOT_INSIDE);
  return `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
};

const serverByLibrary = (): string => {
  const config = new (library().KubeConfig)();
  config.loadFromCluster();
  const server = config.getCurrentCluster()?.server;
  if (server === undefined || server.includes("undefined")) throw new Error(NOT_INSIDE);
  return server;
};

/** Loaded only when needed: see inCluster. */
const library = (): typeof import("@kubernetes/client-node") =>
  createRequire(import.meta.url)("@kubernetes/client-node") as typeof import("@kubernetes/client-node");

const readText = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new Error(`cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
};

type Cluster = { server: string; caFile?: string; caData?: string; tlsServerName?: string; skipTLSVerify?: boolean };
type User = {
  certFile?: string;
  certData?: string;
  keyFile?: string;
  keyData?: string;
  token?: string;
  username?: string;
  password?: string;
};
type Chosen = {
  readonly cluster: Cluster;
  readonly user: User;
  readonly namespace: string | undefined;
  /** Exec plugins and the like. */
  readonly dynamic?: (() => Promise<Readonly<Record<string, string>>>) | undefined;
};

const fromFile = (path: string, context: string | undefined): KubeConfig => {
  const { cluster, user, namespace, dynamic } = plainJson(readText(path), context) ?? byLibrary(path, context);
  return {
    server: cluster.server.replace(/\/+$/, ""),
    namespace: namespace ?? "default",
    tls: () => {
      const ca = material(cluster.caFile, cluster.caData);
      const cert = material(user.certFile, user.certData);
      const key = material(user.keyFile, user.keyData);
      return {
        ...(ca === undefined ? {} : { ca }),
        ...(cert === undefined ? {} : { cert }),
        ...(key === undefined ? {} : { key }),
        ...(cluster.tlsServerName === undefined ? {} : { servername: cluster.tlsServerName }),
        ...(cluster.skipTLSVerify === true ? { rejectUnauthorized: false } : {}),
      };
    },
    headers: async () => {
      if (dynamic !== undefined) return dynamic();
      if (user.token !== undefined) return { authorization: `Bearer ${user.token}` };
      if (user.username !== undefined && user.password !== undefined)
        return { authorization: `Basic ${Buffer.from(`${user.username}:${user.password}`).toString("base64")}` };
      return {};
    },
  };
};

const CLUSTER_FIELDS = ["server", "certificate-authority-data"];
const USER_FIELDS = ["client-certificate-data", "client-key-data", "token"];

/**
 * A kubeconfig written as JSON with embedded credentials only, as the embedded API server writes them. Undefined for anything
 * else, which the library reads: loading it costs a process half a second of CPU and 40 MB, too much for each small one of ours.
 */
const plainJson = (text: string, wanted: string | undefined): Chosen | undefined => {
  if (!text.startsWith("{")) return undefined;
  type Named<K extends string> = readonly ({ readonly name?: string } & { readonly [k in K]?: Record<string, string> })[];
  type File = { "current-context"?: string; contexts?: Named<"context">; clusters?: Named<"cluster">; users?: Named<"user"> };
  let file: File;
  try {
    file = JSON.parse(text) as File;
  } catch {
    return undefined; // flow-style YAML also starts with a brace
  }
  const context = file.contexts?.find((c) => c.name === (wanted ?? file["current-context"]))?.context;
  const cluster = file.clusters?.find((c) => c.name === context?.cluster)?.cluster;
  const user = file.users?.find((u) => u.name === context?.user)?.user;
  if (cluster === undefined || user === undefined) return undefined;
  if (Object.keys(cluster).some((k) => !CLUSTER_FIELDS.includes(k)) || Object.keys(user).some((k) => !USER_FIELDS.includes(k)))
    return undefined;
  const { server, "certificate-authority-data": caData } = cluster;
  const { "client-certificate-data": certData, "client-key-data": keyData, token } = user;
  if (server === undefined) return undefined;
  return {
    cluster: { server, ...(caData === undefined ? {} : { caData }) },
    user: {
      ...(certData === undefined ? {} : { certData }),
      ...(keyData === undefined ? {} : { keyData }),
      ...(token === undefined ? {} : { token }),
    },
    namespace: context?.namespace,
  };
};

const byLibrary = (path: string, context: string | undefined): Chosen => {
  const config = new (library().KubeConfig)();
  try {
    config.loadFromString(readText(path));
    config.makePathsAbsolute(path.slice(0, Math.max(0, path.lastIndexOf("/"))) || (path.startsWith("/") ? "/" : "."));
  } catch (cause) {
    throw new Error(`${path} is not a kubeconfig: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  if (context !== undefined) {
    if (config.getContextObject(context) === null) throw new Error(`${path} has no context "${context}"`);
    config.setCurrentContext(context);
  }
  const cluster = config.getCurrentCluster();
  const user = config.getCurrentUser();
  if (cluster === null || cluster === undefined)
    throw new Error(`${path} has no cluster for its current context "${config.currentContext}"`);
  if (user === null || user === undefined) throw new Error(`${path} has no user for its current context "${config.currentContext}"`);
  const isDynamic = user.exec !== undefined || user.authProvider !== undefined;
  return {
    cluster,
    user,
    namespace: config.getContextObject(config.currentContext)?.namespace,
    dynamic: isDynamic ? () => dynamicHeaders(config) : undefined,
  };
};

const material = (file: string | undefined, data: string | undefined): Buffer | undefined => {
  if (data !== undefined && data !== "") return Buffer.from(data, "base64");
  return file === undefined || file === "" ? undefined : readFileSync(file);
};

/** Exec plugins and OIDC: client-node runs and caches them. */
const dynamicHeaders = async (config: import("@kubernetes/client-node").KubeConfig): Promise<Record<string, string>> => {
  const options: { headers: Record<string, string> } = { headers: {} };
  await config.applyToHTTPSOptions(options);
  return Object.fromEntries(Object.entries(options.headers).map(([k, v]) => [k.toLowerCase(), String(v)]));
};
