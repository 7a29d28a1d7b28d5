// Which processes make the cluster, started how and with which environment?

import { fileURLToPath } from "node:url";
import { fabricNetns, type Instance, netnsPath, nodeName, nodeNetns } from "../../node/instance.ts";

export type ChildSpec = { readonly name: string; readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> };

export type ClusterSpec = {
  readonly instance: Instance;
  readonly nodes: number;
  readonly port: number;
  readonly node: string;
  readonly path: string;
};

const entry = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

export const kubeconfigOf = (instance: Instance): string => `${instance.dataDir}/kubeconfig`;

const common = (c: ClusterSpec): Record<string, string> => ({
  PATH: c.path,
  NODE_COMPILE_CACHE: `${c.instance.dataDir}/cache/compile`,
  AMBIT_INSTANCE: c.instance.id,
  AMBIT_DATA_DIR: c.instance.dataDir,
  AMBIT_CGROUP: c.instance.cgroup,
});

export const apiServerSpec = (c: ClusterSpec): ChildSpec => ({
  name: "apiserver",
  argv: [c.node, entry("../../apiserver/main.ts")],
  env: {
    ...common(c),
    AMBIT_APISERVER_PORT: String(c.port),
    AMBIT_NODES: String(c.nodes),
    AMBIT_FABRIC_NETNS: netnsPath(fabricNetns(c.instance.id)),
  },
});

export const controllersSpec = (c: ClusterSpec): ChildSpec => ({
  name: "controllers",
  argv: [c.node, entry("../../controllers/main.ts")],
  env: { ...common(c), KUBECONFIG: `${c.instance.dataDir}/controllers.kubeconfig` },
});

/** The node process lives in its node's network namespace (and in no other of its own: it mounts things for its pods). */
export const nodeSpec = (c: ClusterSpec, n: number): ChildSpec => ({
  name: nodeName(n),
  argv: ["nsenter", `--net=${netnsPath(nodeNetns(c.instance.id, n))}`, "--", c.node, entry("../../node/main.ts")],
  env: { ...common(c), AMBIT_NODE: String(n), AMBIT_NODES: String(c.nodes), KUBECONFIG: `${c.instance.dataDir}/${nodeName(n)}.kubeconfig` },
});
