// What does this machine have? (facts only; check.ts judges them)

import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cgroupMount, createCgroup, removeCgroup } from "../../node/container/cgroup.ts";
import { tryTool } from "../../node/tools/run.ts";
import { type Facts, REQUIRED_PROGRAMS } from "../check.ts";

// A newline after each inner brace: nft 1.0.6 takes "} }" on one line for a mistake.
const PROBE_RULES = "table ip probe {\n chain out {\n type nat hook output priority -100;\n }\n}\n";

const onPath = (name: string, path: string): boolean =>
  path.split(":").some((dir) => {
    try {
      accessSync(join(dir, name), constants.X_OK);
      return true;
    } catch {
      return false; // not here; perhaps in the next directory
    }
  });

const readOr = (path: string, fallback: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return fallback; // no such file on this kernel: the check that reads it says so
  }
};

export const facts = async (path: string): Promise<Facts> => {
  const programs = new Set(REQUIRED_PROGRAMS.map(([name]) => name).filter((name) => onPath(name, path)));
  const mount = cgroupMount(readOr("/proc/mounts", ""));
  const uid = process.getuid?.() ?? -1;
  const able = uid === 0 && programs.has("nft") && programs.has("unshare");
  return {
    platform: process.platform,
    uid,
    programs,
    cgroupMount: mount,
    cgroupKill: mount !== undefined && uid === 0 && hasCgroupKill(mount),
    overlay: readOr("/proc/filesystems", "").includes("\toverlay\n") || (await loads("overlay", able)),
    ipv6: existsSync("/proc/net/if_inet6"),
    nftSays: able ? await nftSays() : undefined,
  };
};

/** The root group has no cgroup.kill, so one below it is made for a moment. */
const hasCgroupKill = (mount: string): boolean => {
  const probe = join(mount, `ambit-probe-${process.pid}`);
  try {
    createCgroup(probe);
    return existsSync(join(probe, "cgroup.kill"));
  } catch {
    return false; // a read-only hierarchy cannot hold our groups either
  } finally {
    if (existsSync(probe)) {
      removeCgroup(probe);
    }
  }
};

const loads = async (module: string, able: boolean): Promise<boolean> => {
  if (!able) return false;
  const { code } = await tryTool("modprobe", [module]).catch(() => ({ code: 1 })); // no modprobe: a kernel without modules
  return code === 0 && readOr("/proc/filesystems", "").includes(`\t${module}\n`);
};

const nftSays = async (): Promise<string | undefined> => {
  const { code, stderr } = await tryTool("unshare", ["--net", "nft", "-f", "-"], PROBE_RULES);
  return code === 0 ? undefined : (stderr.trim().split("\n")[0] ?? `exit code ${code}`);
};
