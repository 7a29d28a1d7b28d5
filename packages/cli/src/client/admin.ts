// How is a pod's admin server asked? (HTTP over the API server's port-forward, as it listens on the pod's loopback only)

import { type ClientRequest, request } from "node:http";
import { Duplex, PassThrough } from "node:stream";

export type PodRef = { readonly namespace: string; readonly name: string };
export type AdminCall = { readonly method?: "GET" | "POST"; readonly path: string; readonly port?: number };

const ADMIN_PORT = 15000;
const PATIENCE_MS = 10_000;

export type AdminClient = {
  /** The parsed JSON. Throws one sentence naming the pod when it cannot be had. */
  json(pod: PodRef, path: string): Promise<unknown>;
  text(pod: PodRef, call: AdminCall): Promise<string>;
};

const answerOf = (call: ClientRequest): Promise<{ status: number; body: string }> =>
  new Promise((resolve, reject) => {
    call.on("error", reject);
    call.on("response", (res) => {
      const chunks: Buffer[] = [];
      res.on("data", (c: Buffer) => chunks.push(c));
      res.on("error", reject);
      res.on("end", () => resolve({ status: res.statusCode ?? 0, body: Buffer.concat(chunks).toString() }));
    });
    call.end();
  });

export type Kubeconfig = { readonly path: string; readonly context: string | undefined };

/** client-node is loaded when it is first needed: it would cost every command half a second. */
const portForward = async (source: Kubeconfig) => {
  const { KubeConfig, PortForward } = await import("@kubernetes/client-node");
  const kube = new KubeConfig();
  kube.loadFromFile(source.path);
  if (source.context !== undefined) kube.setCurrentContext(source.context);
  return new PortForward(kube);
};

export const createAdminClient = (source: Kubeconfig): AdminClient => {
  let loading: ReturnType<typeof portForward> | undefined;

  const ask = async (pod: PodRef, call: AdminCall): Promise<{ status: number; body: string }> => {
    const fromPod = new PassThrough();
    const toPod = new PassThrough();
    const complaints = new PassThrough();
    let complaint = "";
    complaints.on("data", (c: Buffer) => {
      complaint += String(c);
    });
    loading ??= portForward(source);
    const forward = await loading;
    const socket = await forward.portForward(pod.namespace, pod.name, [call.port ?? ADMIN_PORT], fromPod, complaints, toPod);
    const ws = typeof socket === "function" ? socket() : socket;
    ws?.on("close", () => fromPod.end());
    try {
      const stream = Duplex.from({ readable: fromPod, writable: toPod } as unknown as Parameters<typeof Duplex.from>[0]);
      const req = request({
        method: call.method ?? "GET",
        path: call.path,
        host: "localhost",
        createConnection: () => stream,
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      return await answerOf(req);
    } catch (e) {
      throw new Error(complaint.trim() || (e instanceof Error ? e.message : String(e)), { cause: e });
    } finally {
      ws?.close();
    }
  };

  const text = async (pod: PodRef, call: AdminCall): Promise<string> => {
    const where = `${pod.namespace}/${pod.name}`;
    const answer = await ask(pod, call).catch((e: unknown) => {
      throw new Error(`cannot reach the admin server of pod ${where}: ${e instanceof Error ? e.message : String(e)}`, { cause: e });
    });
    if (answer.status !== 200) throw new Error(`pod ${where} answered ${answer.status} to ${call.path}: ${answer.body.trim()}`);
    return answer.body;
  };
  return { text, json: async (pod, path) => JSON.parse(await text(pod, { path })) as unknown };
};
