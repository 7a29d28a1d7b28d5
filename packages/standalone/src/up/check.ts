// Can this machine run the embedded cluster, and if not, what is missing?

/** What was found on the machine; see facts in machine/run.ts. */
export type Facts = {
  readonly platform: string;
  readonly uid: number;
  /** Programs of REQUIRED_PROGRAMS that are on the PATH. */
  readonly programs: ReadonlySet<string>;
  /** Mount point of a cgroup v2 hierarchy. */
  readonly cgroupMount: string | undefined;
  readonly cgroupKill: boolean;
  readonly overlay: boolean;
  readonly ipv6: boolean;
  /** What nft said when it was given a NAT chain in a namespace of its own; undefined when it took it. */
  readonly nftSays: string | undefined;
};

export const REQUIRED_PROGRAMS = [
  ["ip", "iproute2"],
  ["nft", "nftables"],
  ["nsenter", "util-linux"],
  ["unshare", "util-linux"],
  ["mount", "mount"],
] as const;

/** One sentence for each thing that is missing; none means go. */
export const missing = (f: Facts): string[] => {
  if (f.platform !== "linux") return [`ambit up needs Linux (network namespaces and nftables); this is ${f.platform}`];
  const programs = REQUIRED_PROGRAMS.filter(([name]) => !f.programs.has(name)).map(
    ([name, pkg]) => `the program "${name}" is missing: install the package ${pkg} (apt-get install ${pkg})`,
  );
  const says = f.nftSays;
  return [
    ...(f.uid === 0 ? [] : ["ambit up must run as root: it makes network namespaces, mounts and cgroups"]),
    ...programs,
    ...(f.cgroupMount === undefined
      ? ["no cgroup2 file system is mounted: mount one, e.g. at /sys/fs/cgroup"]
      : f.cgroupKill || f.uid !== 0
        ? []
        : [`the kernel is too old: cgroup v2 at ${f.cgroupMount} has no cgroup.kill (Linux 5.14 or newer has)`]),
    ...(f.overlay ? [] : ["the kernel has no overlay file system: load it with `modprobe overlay`"]),
    ...(f.ipv6 ? [] : ["the kernel has no IPv6: pods need addresses of both families (is it booted with ipv6.disable=1?)"]),
    ...(says !== undefined && f.uid === 0 && programs.length === 0 ? [`nftables does not work in a network namespace here: ${says}`] : []),
  ];
};
