// How do a pod's volumes come to be on disk, stay up to date, and go away?

import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, normalize } from "node:path";
import type { Pod, Volume } from "@ambit/shared/kube/objects/pod.ts";
import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";
import { isProjected, type VolumeContext, type VolumeFiles, volumeFiles } from "../pod/volumes.ts";
import { runTool, tryTool } from "../tools/run.ts";

const sameFiles = (dir: string, files: VolumeFiles): boolean => {
  const data = join(dir, "..data");
  if (!existsSync(data)) return false;
  const held = (readdirSync(data, { recursive: true, encoding: "utf8" }) as string[]).filter((name) => statSync(join(data, name)).isFile());
  return held.length === files.size && held.every((name) => files.get(name)?.bytes.equals(readFileSync(join(data, name))) === true);
};

/**
 * Makes the directory show exactly these files, all changed at one moment: they are written to a new directory, and the
 * symlink `..data`, through which every visible name leads, is swapped by rename (kubelet's AtomicWriter). Returns whether it changed.
 */
const writeAtomically = (dir: string, files: VolumeFiles, gid: number | undefined): boolean => {
  mkdirSync(dir, { recursive: true, mode: 0o755 });
  if (sameFiles(dir, files)) return false;
  const data = join(dir, "..data");
  const old = existsSync(data) ? readlinkSync(data) : undefined;
  const next = `..${process.hrtime.bigint().toString(36)}`;
  for (const [path, file] of files) {
    const target = join(dir, next, path);
    mkdirSync(dirname(target), { recursive: true, mode: 0o755 });
    writeFileSync(target, file.bytes);
    chmodSync(target, gid === undefined ? file.mode : file.mode | 0o040);
    if (gid !== undefined) chownSync(target, 0, gid);
  }
  mkdirSync(join(dir, next), { recursive: true, mode: 0o755 });
  rmSync(`${data}_tmp`, { force: true });
  symlinkSync(next, `${data}_tmp`);
  renameSync(`${data}_tmp`, data);
  const names = new Set([...files.keys()].map((path) => path.split("/")[0] ?? path));
  for (const name of readdirSync(dir)) if (!name.startsWith("..") && !names.has(name)) rmSync(join(dir, name));
  for (const name of names)
    if (lstatSync(join(dir, name), { throwIfNoEntry: false }) === undefined) symlinkSync(join("..data", name), join(dir, name));
  if (old !== undefined) rmSync(join(dir, old), { recursive: true, force: true });
  return true;
};

const HOST_PATH: Readonly<Record<string, (path: string) => string | undefined>> = {
  "": () => undefined,
  DirectoryOrCreate: (path) => void mkdirSync(path, { recursive: true, mode: 0o755 }),
  Directory: (path) => (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true ? undefined : "is not a directory"),
  FileOrCreate: (path) => void (existsSync(path) || writeFileSync(path, "", { mode: 0o644 })),
  File: (path) => (statSync(path, { throwIfNoEntry: false })?.isFile() === true ? undefined : "is not a file"),
  Socket: (path) => (statSync(path, { throwIfNoEntry: false })?.isSocket() === true ? undefined : "is not a socket"),
  CharDevice: (path) => (statSync(path, { throwIfNoEntry: false })?.isCharacterDevice() === true ? undefined : "is not a character device"),
  BlockDevice: (path) => (statSync(path, { throwIfNoEntry: false })?.isBlockDevice() === true ? undefined : "is not a block device"),
};

/** Nodes share this machine's files but not what runs on them: each has a /run of its own, save for the namespaces. */
export const ownPath = (path: string, nodeRun: string): string => {
  const inRun = /^\/(?:var\/)?run\/+(?!netns(?:\/|$))(.+)$/.exec(normalize(path));
  return inRun?.[1] === undefined ? path : join(nodeRun, "run", inRun[1]);
};

const hostPath = (volume: Volume, source: NonNullable<Volume["hostPath"]>, nodeRun: string): Result<string> => {
  const check = HOST_PATH[source.type ?? ""];
  if (check === undefined) return err(`volume "${volume.name}": hostPath has no type ${source.type}`);
  const path = ownPath(source.path, nodeRun);
  const wrong = check(path);
  if (wrong !== undefined) return err(`volume "${volume.name}": hostPath ${source.path} ${wrong}`);
  if (existsSync(path)) return ok(path);
  if ((source.type ?? "") !== "") return err(`volume "${volume.name}": hostPath ${source.path} does not exist`);
  mkdirSync(path, { recursive: true, mode: 0o755 }); // container runtimes make what a bind mount lacks
  return ok(path);
};

const isMounted = (path: string): boolean => readFileSync("/proc/self/mounts", "utf8").includes(` ${path} `);

const emptyDir = async (dir: string, source: NonNullable<Volume["emptyDir"]>, gid: number | undefined): Promise<string> => {
  mkdirSync(dir, { recursive: true });
  if (source.medium === "Memory" && !isMounted(dir)) {
    const size = source.sizeLimit === undefined ? "50%" : source.sizeLimit.replace(/i$/, "").toLowerCase();
    await runTool("mount", ["-n", "-t", "tmpfs", "-o", `size=${size}`, "tmpfs", dir]);
  }
  if (gid !== undefined) chownSync(dir, 0, gid);
  chmodSync(dir, gid === undefined ? 0o777 : 0o2775);
  return dir;
};

export type VolumePaths = ReadonlyMap<string, string>;

/** Where a pod's volumes are made, and the node's own runtime directory. */
export type VolumePlace = { readonly dir: string; readonly nodeRun: string };

/** Makes (or brings up to date) every volume of the pod below `dir`; its path outside by volume name. An error is a FailedMount. */
export const prepareVolumes = async (pod: Pod, where: VolumePlace, context: VolumeContext): Promise<Result<VolumePaths>> => {
  const paths = new Map<string, string>();
  const gid = pod.spec.securityContext?.fsGroup;
  for (const volume of pod.spec.volumes ?? []) {
    const at = join(where.dir, volume.name);
    if (volume.hostPath !== undefined) {
      const path = hostPath(volume, volume.hostPath, where.nodeRun);
      if (!path.ok) return path;
      paths.set(volume.name, path.value);
    } else if (volume.emptyDir !== undefined) paths.set(volume.name, await emptyDir(at, volume.emptyDir, gid));
    else if (isProjected(volume)) {
      const files = volumeFiles(volume, context);
      if (!files.ok) return files;
      writeAtomically(at, files.value, gid);
      paths.set(volume.name, at);
    } else return err(`volume "${volume.name}" is of a type that nodes of this machine do not have`);
  }
  return ok(paths);
};

/** Unmounts everything that was mounted below the directory (memory volumes), the deepest first. */
export const unmountBelow = async (dir: string): Promise<void> => {
  const targets = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .flatMap((line) => line.split(" ")[1] ?? [])
    .filter((path) => path.startsWith(`${dir}/`))
    .sort((a, b) => b.length - a.length);
  for (const target of targets) await tryTool("umount", ["-n", "-l", target]);
};
