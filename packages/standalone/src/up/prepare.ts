// Are the components' compile caches those of the code as it is now? (what an image's build does, for a checkout that changes)

import { spawn } from "node:child_process";
import { chownSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { COMPONENTS, type ComponentName, compileCacheEnv, componentMain } from "../node/images.ts";

const PREPARE_MS = 30_000;

/** What a start loads: changes when a source file does, a dependency, or Node. */
const signature = (repository: string): string => {
  let newest = 0;
  let count = 0;
  for (const name of ["shared", ...Object.keys(COMPONENTS)])
    for (const entry of readdirSync(join(repository, "packages", name, "src"), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      newest = Math.max(newest, statSync(join(entry.parentPath, entry.name)).mtimeMs);
      count += 1;
    }
  return `${process.version} ${process.arch} ${count} ${newest} ${statSync(join(repository, "pnpm-lock.yaml")).mtimeMs}\n`;
};

const read = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // not prepared yet
  }
};

const sentence = (said: string): string => said.split("\n").find((line) => /Error/.test(line)) ?? said.trim();

/** Runs `main.ts prepare` as the user that the component runs as. */
const prepareOne = (repository: string, name: ComponentName): Promise<void> =>
  new Promise((resolve, reject) => {
    const uid = COMPONENTS[name];
    const env = compileCacheEnv(repository, name);
    mkdirSync(env.NODE_COMPILE_CACHE ?? "", { recursive: true });
    chownSync(env.NODE_COMPILE_CACHE ?? "", uid, uid);
    const child = spawn(process.execPath, [componentMain(repository, name), "prepare"], {
      env: { ...env },
      uid,
      gid: uid,
      stdio: ["ignore", "ignore", "pipe"],
      timeout: PREPARE_MS,
    });
    let said = "";
    child.stderr.on("data", (part: Buffer) => {
      said = `${said}${part}`.slice(-2_000);
    });
    child.once("error", reject);
    child.once("close", (code) => (code === 0 ? resolve() : reject(new Error(`${name} ended with ${code}: ${sentence(said)}`))));
  });

/**
 * Fills the caches unless they are up to date. Without them everything works, with more memory and later: why they could not
 * be filled is told, and that is all.
 */
export const prepareComponents = async (repository: string, out: (line: string) => void): Promise<void> => {
  try {
    const wanted = signature(repository);
    const stamp = join(repository, "node_modules/.cache/components-prepared");
    if (read(stamp) === wanted) return;
    mkdirSync(dirname(stamp), { recursive: true });
    await Promise.all((Object.keys(COMPONENTS) as ComponentName[]).map((name) => prepareOne(repository, name)));
    writeFileSync(stamp, wanted);
  } catch (e) {
    out(`the components start without a compile cache: ${e instanceof Error ? e.message : String(e)}`);
  }
};
