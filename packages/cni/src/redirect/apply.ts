// How are rules carried into a namespace? (one nft transaction, one ip batch, as programs entered by nsenter)

import { spawn } from "node:child_process";
import { type Family, podRouting } from "./rules.ts";

/** The namespace to run in: an open fd on it, or our own. */
export type Where = { readonly netns: number } | "here";

/** Runs a program with the input; resolves with what it said on stderr and its exit code. */
const run = (where: Where, argv: readonly string[], input: string): Promise<{ code: number | null; complaints: string[] }> =>
  new Promise((resolve, reject) => {
    // The fd becomes the child's fd 3, so that the namespace is the one we opened, whatever has its path by now.
    const [program = "", ...args] = where === "here" ? argv : ["nsenter", "--net=/proc/self/fd/3", "--", ...argv];
    const child = spawn(program, args, { stdio: ["pipe", "ignore", "pipe", where === "here" ? "ignore" : where.netns] });
    const stderr: Buffer[] = [];
    child.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));
    child.on("error", (e) => reject(new Error(`${program} could not be started: ${e.message}`)));
    // A program that ends before it has read everything says why on stderr.
    child.stdin?.on("error", (e: NodeJS.ErrnoException) => (e.code === "EPIPE" ? undefined : reject(e)));
    child.on("close", (code) =>
      resolve({
        code,
        complaints: Buffer.concat(stderr)
          .toString()
          .split("\n")
          .filter((l) => l !== ""),
      }),
    );
    child.stdin?.end(input);
  });

/** Loads an nft text as one transaction: all of it or nothing. Throws with nft's first complaint. */
export const applyRules = async (where: Where, text: string): Promise<void> => {
  const { code, complaints } = await run(where, ["nft", "-f", "-"], text);
  if (code !== 0) throw new Error(`nft -f - failed (exit ${code}): ${complaints[0] ?? "no reason given"}`);
};

const AS_WANTED = /File exists|No such (process|file)|FIB table does not exist|^Command failed/;

/** Brings the pod's policy routing in place or takes it away; "already there" and "already gone" are as good. */
export const applyRouting = async (where: Where, action: "add" | "del", families: readonly Family[]): Promise<void> => {
  for (const family of families) {
    const argv = ["ip", family === "ipv4" ? "-4" : "-6", "-force", "-batch", "-"];
    const { complaints } = await run(where, argv, podRouting(action, family));
    const [real] = complaints.filter((c) => !AS_WANTED.test(c));
    if (real !== undefined) throw new Error(`${argv.join(" ")} failed: ${real}`);
  }
};
