// The demo's world: two nodes, the mesh, the shop. What does a person do there?
import { readFileSync } from "node:fs";
import { type Cluster, startCluster } from "../world/cluster.ts";
import { SHOP } from "../world/paths.ts";
import { type Ran, run } from "../world/program.ts";
import type { Stage } from "./stage.ts";

export const WORLD_NAME = "demo";

export const startWorld = async (stage: Stage): Promise<Cluster> => {
  stage.command("ambit up --nodes 2");
  return startCluster({ name: WORLD_NAME, nodes: 2, onLine: (l) => stage.output(l) });
};

export const installShopAndMesh = async (cluster: Cluster, stage: Stage): Promise<void> => {
  stage.command("kubectl apply -k deploy/kustomize");
  const mesh = cluster.installMesh();
  stage.command("kubectl apply -f test/demo/shop.yaml");
  await cluster.apply(readFileSync(SHOP, "utf8"));
  await mesh;
  for (const app of ["web", "batch", "reviews-v1", "reviews-v2", "reviews-v3"])
    await cluster.kubectl("-n", "shop", "rollout", "status", `deployment/${app}`, "--timeout=60s");
  stage.output(await cluster.kubectl("-n", "shop", "get", "pods", "-o", "wide"));
};

/** curl from inside a pod of the deployment, with what it printed. */
export const curlFrom = (cluster: Cluster, deployment: string, args: readonly string[]): Promise<Ran> =>
  cluster.kubectlRan(["-n", "shop", "exec", `deploy/${deployment}`, "--", "curl", "-sS", "--max-time", "60", ...args]);

/** What passes between the nodes, as text, until the count of packets or the time is reached. */
export const wire = async (cluster: Cluster, filter: string, packets: number): Promise<{ command: string; text: string }> => {
  const args = ["-l", "-n", "-A", "-s", "0", "-i", "eth0", "-c", String(packets), filter];
  const netns = `/run/netns/ambit-${cluster.id}-node1`;
  const { stdout } = await run(["nsenter", `--net=${netns}`, "timeout", "10", "tcpdump", ...args]);
  return { command: `nsenter --net=${netns} tcpdump -A -i eth0 -c ${packets} '${filter}'`, text: stdout };
};

/** How many of the lines say each version. */
export const countVersions = (text: string): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const m of text.matchAll(/reviews (v\d)/g)) counts[m[1] ?? ""] = (counts[m[1] ?? ""] ?? 0) + 1;
  return counts;
};
