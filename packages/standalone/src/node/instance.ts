// What is everything on this machine called that belongs to one `ambit up`?

/** One embedded cluster. `id` is six hex digits of the sha256 of the data directory's real path. */
export type Instance = {
  readonly id: string;
  /** `/run/ambit/<id>`: sockets, pod directories, who owns the instance. Gone after a reboot, and that is right. */
  readonly runDir: string;
  /** The user's data directory: kept logs live under `logs/`. */
  readonly dataDir: string;
  /** `<cgroup2 mount>/ambit-<id>`. */
  readonly cgroup: string;
};

export const instanceOf = (id: string, where: { readonly dataDir: string; readonly cgroupMount: string }): Instance => ({
  id,
  runDir: `/run/ambit/${id}`,
  dataDir: where.dataDir,
  cgroup: `${where.cgroupMount}/ambit-${id}`,
});

/** Every namespace of the instance, and nothing else, starts with this. */
export const netnsPrefix = (id: string): string => `ambit-${id}-`;

export const fabricNetns = (id: string): string => `${netnsPrefix(id)}fabric`;
export const nodeNetns = (id: string, node: number): string => `${netnsPrefix(id)}node${node}`;
export const podNetns = (id: string, uid: string): string => `${netnsPrefix(id)}p-${shortUid(uid)}`;
export const netnsPath = (name: string): string => `/run/netns/${name}`;

/** The first ten hex digits of a pod's uid. */
export const shortUid = (uid: string): string => uid.replaceAll("-", "").slice(0, 10);

/** Node n's object name. */
export const nodeName = (node: number): string => `node${node}`;

export const nodeRunDir = (instance: Instance, node: string): string => `${instance.runDir}/${node}`;
export const podCgroup = (instance: Instance, node: string, uid: string): string => `${instance.cgroup}/${node}/kubepods/pod${uid}`;
export const kubeletSocket = (instance: Instance, node: string): string => `${nodeRunDir(instance, node)}/kubelet.sock`;
