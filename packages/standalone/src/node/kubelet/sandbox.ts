// What do a pod's containers share (network, /etc files, volumes), and how is one container's launch put together?

import { lstatSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Container, Pod } from "@ambit/shared/kube/objects/pod.ts";
import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";
import type { LaunchPlan, Mount, User } from "../container/launch.ts";
import { commandLine } from "../images.ts";
import { netnsPath, podCgroup, podNetns } from "../instance.ts";
import { CLUSTER_DOMAIN, KUBERNETES_SERVICE, podAddresses } from "../network/addresses.ts";
import { containerEnv, expand } from "../pod/env.ts";
import { hostnameOf, hostsFile, resolvConf } from "../pod/etc.ts";
import type { PodPlace } from "../pod/fields.ts";
import type { PodRecord } from "../pod/record.ts";
import type { KubeletDeps } from "./deps.ts";
import type { VolumePaths } from "./volumes.ts";

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The pod's addresses: its own by its number, or its node's. */
export const podIPs = (deps: Pick<KubeletDeps, "node">, record: PodRecord): readonly string[] => {
  if (record.number === undefined) return deps.node.ips;
  const a = podAddresses(deps.node.number, record.number);
  return [a.ipv4, a.ipv6];
};

export const placeOf = (deps: Pick<KubeletDeps, "node">, record: PodRecord): PodPlace => ({
  node: deps.node.name,
  hostIPs: deps.node.ips,
  podIPs: podIPs(deps, record),
});

/** Writes the files that stand for /etc/hosts, /etc/hostname and /etc/resolv.conf; their paths by name. */
export const writeEtc = (
  deps: Pick<KubeletDeps, "node" | "dns">,
  pod: Pod,
  at: { readonly dir: string; readonly record: PodRecord },
): Readonly<Record<string, string>> => {
  const files: Readonly<Record<string, string>> = {
    hosts: hostsFile(pod, { node: deps.node.name, podIPs: podIPs(deps, at.record), clusterDomain: CLUSTER_DOMAIN }),
    hostname: `${hostnameOf(pod, deps.node.name)}\n`,
    "resolv.conf": resolvConf(pod, deps.dns),
  };
  mkdirSync(join(at.dir, "etc"), { recursive: true });
  const paths: Record<string, string> = {};
  for (const [name, text] of Object.entries(files)) {
    paths[name] = join(at.dir, "etc", name);
    writeFileSync(join(at.dir, "etc", name), text, { mode: 0o644 });
  }
  return paths;
};

export const containerDir = (podDir: string, container: string): string => join(podDir, "containers", container);
export const containerCgroup = (deps: Pick<KubeletDeps, "instance" | "node">, uid: string, container: string): string =>
  join(podCgroup(deps.instance, deps.node.name, uid), container);

/** Who the container runs as; undefined for root. */
export const userOf = (pod: Pod, container: Container): Result<User | undefined> => {
  const uid = container.securityContext?.runAsUser ?? pod.spec.securityContext?.runAsUser ?? 0;
  const gid = container.securityContext?.runAsGroup ?? pod.spec.securityContext?.runAsGroup ?? 0;
  const fsGroup = pod.spec.securityContext?.fsGroup;
  if (uid === 0 && container.securityContext?.runAsNonRoot === true) return err("container has runAsNonRoot and image will run as root");
  return ok(uid === 0 && gid === 0 ? undefined : { uid, gid, groups: fsGroup === undefined ? [] : [fsGroup] });
};

/** The container's whole environment, as its first process and each exec get it. */
export const environmentOf = (
  deps: Pick<KubeletDeps, "node" | "lookups">,
  pod: Pod,
  at: { readonly container: Container; readonly record: PodRecord },
): Result<Record<string, string>> =>
  containerEnv(at.container, {
    pod,
    place: placeOf(deps, at.record),
    capacity: deps.node.capacity,
    lookups: deps.lookups(pod.metadata.namespace ?? "default"),
    base: {
      PATH,
      HOME: "/root",
      HOSTNAME: hostnameOf(pod, deps.node.name),
      KUBERNETES_SERVICE_HOST: KUBERNETES_SERVICE.ip,
      KUBERNETES_SERVICE_PORT: String(KUBERNETES_SERVICE.port),
      KUBERNETES_SERVICE_PORT_HTTPS: String(KUBERNETES_SERVICE.port),
      KUBERNETES_PORT: `tcp://${KUBERNETES_SERVICE.ip}:${KUBERNETES_SERVICE.port}`,
    },
  });

const mountsOf = (container: Container, volumes: VolumePaths): Result<readonly Mount[]> => {
  const mounts: Mount[] = [];
  for (const m of container.volumeMounts ?? []) {
    const base = volumes.get(m.name);
    if (base === undefined) return err(`the volumeMount ${m.mountPath} names no volume "${m.name}"`);
    if (m.subPath?.split("/").includes("..") === true) return err(`the subPath ${m.subPath} leaves the volume`);
    const source = m.subPath === undefined || m.subPath === "" ? base : join(base, m.subPath);
    const stat = statSync(source, { throwIfNoEntry: false });
    if (stat === undefined) {
      if (lstatSync(source, { throwIfNoEntry: false }) !== undefined) return err(`${source} leads nowhere`);
      mkdirSync(source, { recursive: true });
    }
    mounts.push({
      source,
      target: m.mountPath,
      readOnly: m.readOnly === true,
      kind: stat === undefined || stat.isDirectory() ? "directory" : "file",
    });
  }
  return ok(mounts);
};

/** Why a container cannot be started, as its waiting state says it. */
export type Refusal = { readonly reason: "CreateContainerConfigError" | "ErrImagePull"; readonly message: string };

export type Sandbox = { readonly dir: string; readonly etc: Readonly<Record<string, string>>; readonly volumes: VolumePaths };

/** The launch of one container, whole, or why it is refused. */
export const launchPlan = (
  deps: KubeletDeps,
  pod: Pod,
  at: { readonly container: Container; readonly record: PodRecord; readonly sandbox: Sandbox },
): Result<LaunchPlan, Refusal> => {
  const { container, record, sandbox } = at;
  const argv = commandLine(container, deps.images);
  if (!argv.ok) return err({ reason: "ErrImagePull", message: argv.error });
  const config = (message: string): Result<LaunchPlan, Refusal> => err({ reason: "CreateContainerConfigError", message });
  const env = environmentOf(deps, pod, at);
  if (!env.ok) return config(env.error);
  const user = userOf(pod, container);
  if (!user.ok) return config(user.error);
  const mounts = mountsOf(container, sandbox.volumes);
  if (!mounts.ok) return config(mounts.error);
  const hostNetwork = record.number === undefined;
  return ok({
    dir: containerDir(sandbox.dir, container.name),
    cgroup: containerCgroup(deps, record.uid, container.name),
    netns: netnsPath(hostNetwork ? deps.node.netns : podNetns(deps.instance.id, record.uid)),
    hostSys: hostNetwork,
    etc: sandbox.etc,
    hostDirs: deps.hostDirs,
    mounts: mounts.value,
    argv: expandArgs(argv.value, env.value),
    env: env.value,
    cwd: container.workingDir === undefined || container.workingDir === "" ? "/" : container.workingDir,
    user: user.value,
    hostname: hostnameOf(pod, deps.node.name),
  });
};

const expandArgs = (argv: readonly string[], env: Readonly<Record<string, string>>): readonly string[] =>
  argv.map((word) => expand(word, env));
