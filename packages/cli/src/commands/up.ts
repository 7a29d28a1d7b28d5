// ambit up: a cluster and the mesh's ground on this machine, without Kubernetes

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import type { Context } from "../context.ts";

/** The supervisor is a process of its own: packages meet at entry points, not by import. */
const SUPERVISOR = fileURLToPath(import.meta.resolve("@ambit/standalone/up/main.ts"));

type Options = { nodes: string; data?: string; port?: string };

/** Runs the supervisor in our place: same terminal, same signals, its exit code; it ends with us, even if we are killed. */
const up = (o: Options): Promise<number> =>
  new Promise((resolve, reject) => {
    const args = [
      "--nodes",
      o.nodes,
      ...(o.data === undefined ? [] : ["--data", o.data]),
      ...(o.port === undefined ? [] : ["--port", o.port]),
    ];
    const child = spawn(process.execPath, [SUPERVISOR, ...args], { stdio: ["inherit", "inherit", "inherit", "ipc"] });
    // The terminal sends Ctrl-C to both; a plain kill reaches only us and is passed on.
    process.on("SIGINT", () => undefined);
    process.on("SIGTERM", () => child.kill("SIGTERM"));
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve(code ?? (signal === null ? 1 : 130)));
  });

/** Adds `up`. */
export const addUp = (program: Command, _ctx: Context): void => {
  program
    .command("up")
    .description("run an API server, and nodes and pods as network namespaces, on this machine; Ctrl-C ends it")
    .option("--nodes <n>", "how many nodes", "1")
    .option("--data <dir>", "where objects, keys, logs and the kubeconfig are kept")
    .option("--port <port>", "the API server's port on loopback")
    .action(async (o: Options) => {
      process.exitCode = await up(o);
    });
};
