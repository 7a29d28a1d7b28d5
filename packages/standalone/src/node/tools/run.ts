// How is a program of this machine run once, with a clear sentence when it is missing or fails?

import { spawn } from "node:child_process";

const PACKAGES: Readonly<Record<string, string>> = {
  ip: "iproute2",
  nft: "nftables",
  nsenter: "util-linux",
  unshare: "util-linux",
  mount: "mount",
  umount: "mount",
};

export class ToolError extends Error {
  override readonly name = "ToolError";
}

export type ToolOutput = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** Runs the program to its end. Throws ToolError when it cannot be started; a non-zero exit is an outcome. */
export const tryTool = (tool: string, args: readonly string[], input = ""): Promise<ToolOutput> =>
  new Promise((resolve, reject) => {
    const child = spawn(tool, args, { stdio: ["pipe", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", (e: NodeJS.ErrnoException) => {
      const missing = e.code === "ENOENT" ? `the program "${tool}" is missing: install the package ${PACKAGES[tool] ?? tool}` : e.message;
      reject(new ToolError(missing, { cause: e }));
    });
    child.on("close", (code, signal) => {
      resolve({ code: code ?? 128, stdout, stderr: signal === null ? stderr : `${stderr}ended by ${signal}` });
    });
    // A program that ends without reading its input is judged by its exit code, not by our broken pipe.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });

/** The program's output; throws ToolError with what it said when it fails. */
export const runTool = async (tool: string, args: readonly string[], input = ""): Promise<string> => {
  const { code, stdout, stderr } = await tryTool(tool, args, input);
  if (code !== 0) throw new ToolError(`${[tool, ...args].join(" ")} failed (exit ${code}): ${(stderr || stdout).trim()}`);
  return stdout;
};
