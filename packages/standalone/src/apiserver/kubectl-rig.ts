// The real kubectl against a real server in this process: for the tests that let kubectl drive the API server.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { build } from "./app.ts";

export const DEADLINE_MS = 20_000;

export type Output = { readonly code: number; readonly stdout: string; readonly stderr: string };

export type KubectlRig = AsyncDisposable & {
  readonly environment: { readonly [name: string]: string };
  /** Runs kubectl whatever its exit code; `object` is its standard input, as JSON. */
  kubectl(args: readonly string[], object?: unknown): Promise<Output>;
  /** Runs and insists on success; the output without its last newline. */
  run(args: readonly string[], object?: unknown): Promise<string>;
  /** Runs and insists on failure; what it said. */
  refused(args: readonly string[], object?: unknown): Promise<string>;
  /** The object that `-o json` prints. */
  json(...args: readonly string[]): Promise<ReturnType<typeof JSON.parse>>;
};

/** A server on a port of the kernel's choice, with its own data directory and kubectl's home in it. `path` is where kubectl is looked for. */
export const openRig = async (path: string): Promise<KubectlRig> => {
  const dir = mkdtempSync(join(tmpdir(), "ambit-kubectl-"));
  const config = { dataDir: dir, address: "127.0.0.1", port: 0, fabric: undefined, nodes: 0, history: 1000, bookmarkMs: 1000 };
  const server = await build(config, { world: realWorld(), log: () => {} });
  const environment = { PATH: path, HOME: dir, KUBECONFIG: server.kubeconfig };

  const kubectl = (args: readonly string[], object?: unknown): Promise<Output> =>
    new Promise((resolve, reject) => {
      const options = { env: environment, timeout: DEADLINE_MS, maxBuffer: 1 << 25 };
      const child = execFile("kubectl", [...args], options, (error, stdout, stderr) => {
        if (error !== null && typeof error.code !== "number") reject(error);
        else resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      });
      child.stdin?.end(object === undefined ? "" : JSON.stringify(object));
    });

  const run = async (args: readonly string[], object?: unknown): Promise<string> => {
    const { code, stdout, stderr } = await kubectl(args, object);
    assert.equal(code, 0, `kubectl ${args.join(" ")}: ${stderr}`);
    return stdout.trimEnd();
  };

  return {
    environment,
    kubectl,
    run,
    refused: async (args, object) => {
      const { code, stdout, stderr } = await kubectl(args, object);
      assert.notEqual(code, 0, `kubectl ${args.join(" ")} succeeded: ${stdout}`);
      return stderr.trimEnd();
    },
    json: async (...args) => JSON.parse(await run([...args, "-o", "json"])),
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      rmSync(dir, { recursive: true, force: true });
    },
  };
};

/** A Deployment as a person would write it. */
export const deployment = (name: string, change: { replicas?: number; image?: string; value?: string } = {}) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name, labels: { app: name } },
  spec: {
    replicas: change.replicas ?? 2,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: {
        containers: [
          {
            name: "app",
            image: change.image ?? "ambit/app-web:1",
            ports: [{ containerPort: 8080 }],
            env: [{ name: "A", value: change.value ?? "1" }],
          },
        ],
      },
    },
  },
});
