// What does the launcher of one container do, step by step, as the text of a shell script and a mount table?

import { dirname, join, posix } from "node:path";

export type Mount = {
  readonly source: string;
  /** Absolute, as the container sees it. */
  readonly target: string;
  readonly readOnly: boolean;
  readonly kind: "directory" | "file";
};

export type User = { readonly uid: number; readonly gid: number; readonly groups: readonly number[] };

export type HostDir = { readonly source: string; readonly target: string };

export type LaunchPlan = {
  /** The container's own runtime directory: the script, the mount point of its file system, its output pipes. */
  readonly dir: string;
  readonly cgroup: string;
  readonly netns: string;
  /** hostNetwork containers see the machine's /sys, others one of their own namespace. */
  readonly hostSys: boolean;
  /** Files that replace those below /etc: name → file outside. */
  readonly etc: Readonly<Record<string, string>>;
  /** Directories of this machine at places of their own, read-only: Ambit's own code. */
  readonly hostDirs: readonly HostDir[];
  readonly mounts: readonly Mount[];
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly user: User | undefined;
  readonly hostname: string;
};

/**
 * A path of the container with its symbolic links followed as the container would (/var/run is often one, to /run): the mounts are
 * made from outside, where an absolute link would lead out of the container's root. `readLink` answers for this machine's root,
 * of which the container's is a copy.
 */
export const resolveInRoot = (path: string, readLink: (path: string) => string | undefined): string => {
  const todo = path.split("/");
  let at = "";
  for (let links = 0; todo.length > 0; ) {
    const part = todo.shift() ?? "";
    if (part === "" || part === ".") continue;
    if (part === "..") {
      at = at.slice(0, Math.max(0, at.lastIndexOf("/")));
      continue;
    }
    const link = readLink(`${at}/${part}`);
    if (link === undefined) at = `${at}/${part}`;
    else if (links++ > 40) throw new Error(`${path} has too many symbolic links`);
    else {
      if (link.startsWith("/")) at = "";
      todo.unshift(...link.split("/"));
    }
  }
  return at === "" ? "/" : at;
};

/** A word for the shell, whatever it holds. */
export const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

/** A field of a mount table (fstab(5): octal escapes). */
const field = (text: string): string => text.replace(/[\s\\#]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, "0")}`);

const row = (source: string, target: string, fs: readonly [type: string, options: string]): string =>
  `${field(source)} ${field(target)} ${fs[0]} ${fs[1]} 0 0`;

/** The mounts in order: the overlay root, the kernel's file systems, a new /tmp, then Ambit's code and the volumes. */
const mountTable = (plan: LaunchPlan, fs: string): readonly string[] => {
  const root = join(fs, "root");
  // A shorter target first, so that a volume inside another's mount path is not hidden by it.
  const volumes = [...plan.mounts].sort((a, b) => a.target.length - b.target.length);
  return [
    row("overlay", root, ["overlay", `lowerdir=/,upperdir=${field(join(fs, "upper"))},workdir=${field(join(fs, "work"))}`]),
    row("/proc", join(root, "proc"), ["none", "rbind"]),
    plan.hostSys ? row("/sys", join(root, "sys"), ["none", "rbind"]) : row("sysfs", join(root, "sys"), ["sysfs", "defaults"]),
    row("/dev", join(root, "dev"), ["none", "rbind"]),
    row("tmpfs", join(root, "tmp"), ["tmpfs", "mode=1777"]),
    ...plan.hostDirs.map((dir) => row(dir.source, join(root, dir.target), ["none", "bind,ro,X-mount.mkdir"])),
    ...volumes.map((m) =>
      row(m.source, join(root, m.target), ["none", `${m.kind === "directory" ? "rbind" : "bind"}${m.readOnly ? ",ro" : ""}`]),
    ),
  ];
};

/**
 * The script, run twice: first it joins the cgroup (before anything else, so that nothing escapes it) and re-runs itself in the
 * pod's network namespace with a mount namespace of its own; then it builds the root there, switches to it, drops the user and
 * becomes the command. Everything mounted goes away with the last process. Its own complaints go to `launch.err`; from the last
 * line on, output goes to the pipes, opened for reading and writing so that a restart of the kubelet never breaks them.
 */
export const launchScript = (plan: LaunchPlan): string => {
  const fs = join(plan.dir, "fs");
  const root = join(fs, "root");
  const etc = Object.entries(plan.etc);
  const targets = plan.mounts.map((m) => join(root, m.target));
  const env = Object.entries(plan.env).map(([name, value]) => quote(`${name}=${value}`));
  const user = plan.user;
  const drop =
    user === undefined
      ? []
      : [
          "/usr/bin/setpriv",
          `--reuid=${user.uid}`,
          `--regid=${user.gid}`,
          user.groups.length > 0 ? `--groups=${user.groups.join(",")}` : "--clear-groups",
        ];
  return `${[
    "set -e",
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    `exec 2>${quote(join(plan.dir, "launch.err"))}`,
    'if [ "$1" != inside ]; then',
    `  echo $$ >${quote(join(plan.cgroup, "cgroup.procs"))}`,
    `  exec nsenter --net=${quote(plan.netns)} unshare --mount --uts --propagation private /bin/sh "$0" inside`,
    "fi",
    `printf %s ${quote(plan.hostname)} >/proc/sys/kernel/hostname`,
    `mount -n -t tmpfs -o mode=0755 tmpfs ${quote(fs)}`,
    `mkdir -p ${[join(fs, "upper/etc"), join(fs, "work"), root].map(quote).join(" ")}`,
    ...(etc.length === 0
      ? []
      : [`cd ${quote(join(fs, "upper/etc"))}`, ...etc.map(([name, source]) => `cat ${quote(source)} >${quote(name)}`)]),
    "cd /",
    `mount -n -a -T ${quote(join(plan.dir, "fstab.root"))}`,
    ...plan.mounts.flatMap((m, i) => {
      const target = quote(targets[i] ?? root);
      return m.kind === "directory"
        ? [`mkdir -p ${target}`]
        : [`mkdir -p ${quote(dirname(targets[i] ?? root))}`, `[ -e ${target} ] || : >${target}`];
    }),
    ...(plan.mounts.length === 0 ? [] : [`mount -n -a -T ${quote(join(plan.dir, "fstab.volumes"))}`]),
    `mkdir -p ${quote(join(root, plan.cwd))}`,
    `exec </dev/null 1<>${quote(join(plan.dir, "stdout"))} 2<>${quote(join(plan.dir, "stderr"))}`,
    `exec env -i ${env.join(" ")} /usr/bin/unshare --root=${quote(root)} --wd=${quote(posix.normalize(plan.cwd))} -- ${[...drop, ...plan.argv].map(quote).join(" ")}`,
  ].join("\n")}\n`;
};

/** All files that the launcher reads, by name below the container's runtime directory. */
export const launchFiles = (plan: LaunchPlan): Readonly<Record<string, string>> => {
  const table = mountTable(plan, join(plan.dir, "fs"));
  const split = table.length - plan.mounts.length;
  return {
    "launch.sh": launchScript(plan),
    "fstab.root": `${table.slice(0, split).join("\n")}\n`,
    "fstab.volumes": `${table.slice(split).join("\n")}\n`,
  };
};
