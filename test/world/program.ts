// How is a program run to its end, and what did it say?
import { spawn } from "node:child_process";

export type Ran = { readonly code: number | null; readonly stdout: string; readonly stderr: string };
export type RunOptions = { readonly input?: string; readonly env?: NodeJS.ProcessEnv; readonly timeoutMs?: number };

/** Runs a program; a non-zero exit is an answer, not an error. Past the deadline it is killed and the promise rejects. */
export const run = (argv: readonly string[], options: RunOptions = {}): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const [program = "", ...args] = argv;
    const timeoutMs = options.timeoutMs ?? 60_000;
    const child = spawn(program, args, {
      env: options.env ?? process.env,
      stdio: ["pipe", "pipe", "pipe"],
      timeout: timeoutMs,
      killSignal: "SIGKILL",
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (d: Buffer) => out.push(d));
    child.stderr.on("data", (d: Buffer) => err.push(d));
    child.stdin.on("error", () => undefined); // a program may end without reading its input
    child.on("error", reject);
    child.on("close", (code, signal) => {
      const ran = { code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() };
      if (signal === "SIGKILL") reject(new Error(`${argv.join(" ")} did not end within ${timeoutMs / 1000} s: ${ran.stdout}${ran.stderr}`));
      else resolve(ran);
    });
    child.stdin.end(options.input ?? "");
  });

/** As run, but a non-zero exit is an error with what the program said. Answers its standard output. */
export const must = async (argv: readonly string[], options: RunOptions = {}): Promise<string> => {
  const { code, stdout, stderr } = await run(argv, options);
  if (code !== 0) throw new Error(`${argv.join(" ")} ended with ${code}: ${stderr.trim() || stdout.trim()}`);
  return stdout;
};
