// Where does ztunnel spend its time? V8's sampling profiler in the real process, read after it has ended.
import { copyFileSync, existsSync, globSync, mkdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { until } from "../world/until.ts";
import type { World } from "./world.ts";

type Frame = { readonly functionName: string; readonly url: string; readonly lineNumber: number };
type Profile = {
  readonly nodes: readonly { readonly id: number; readonly callFrame: Frame }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
};

export type Cost = { readonly where: string; readonly ms: number; readonly share: number };

const nameOf = (f: Frame): string => {
  const name = f.functionName === "" ? "(anonymous)" : f.functionName;
  return f.url === "" ? name : `${name} ${f.url.replace(/^.*\/(packages|node_modules)\//, "$1/")}:${f.lineNumber + 1}`;
};

/** Functions by their own time, the costliest first, as shares of the time that was not idle. Pure. */
export const topCosts = (profile: Profile, count: number): Cost[] => {
  const frames = new Map(profile.nodes.map((n) => [n.id, nameOf(n.callFrame)]));
  const own = new Map<string, number>();
  profile.samples.forEach((id, i) => {
    const where = frames.get(id) ?? "?";
    own.set(where, (own.get(where) ?? 0) + (profile.timeDeltas[i] ?? 0) / 1_000);
  });
  own.delete("(idle)");
  const busy = [...own.values()].reduce((a, b) => a + b, 0);
  return [...own]
    .sort((a, b) => b[1] - a[1])
    .slice(0, count)
    .map(([where, ms]) => ({ where, ms, share: ms / busy }));
};

const ZTUNNEL = ["-n", "istio-system", "daemonset/ztunnel"] as const;
const setOptions = async (world: World, value: string): Promise<void> => {
  const [n, ns, what] = ZTUNNEL;
  await world.cluster.kubectl(n, ns, "set", "env", what, value);
  await world.cluster.kubectl(n, ns, "rollout", "status", what, "--timeout=90s");
};

/** Each node's ztunnel keeps its socket in a directory of the node, which outlives the pod: the profile goes there too. */
const found = (world: World): { node: string; file: string }[] =>
  ["node1", "node2"].flatMap((node) =>
    globSync(`/run/ambit/${world.cluster.id}/${node}/run/ztunnel/*.cpuprofile`).map((file) => ({ node, file })),
  );

/** As deploy/kustomize/base/ztunnel.yaml has it. */
const AS_INSTALLED = "--v8-pool-size=1";

export const startProfiling = (world: World): Promise<void> =>
  setOptions(world, `NODE_OPTIONS=${AS_INSTALLED} --cpu-prof --cpu-prof-dir=/var/run/ztunnel`);

/** Ends the profiled ztunnels and keeps their profiles; a text with the top costs of each. */
export const endProfiling = async (world: World, dir: string): Promise<string> => {
  await setOptions(world, `NODE_OPTIONS=${AS_INSTALLED}`);
  const enough = await until("profiles of both ztunnels", () => (found(world).length >= 2 ? true : undefined), 60_000).catch(() => false);
  const profiles = found(world);
  if (!existsSync(dir)) mkdirSync(dir, { recursive: true });
  const missing = enough ? "" : "a ztunnel ended without writing its profile\n";
  const shown = profiles
    .map(({ node, file }) => {
      const kept = join(dir, `${node}-${basename(file)}`);
      copyFileSync(file, kept);
      const costs = topCosts(JSON.parse(readFileSync(kept, "utf8")) as Profile, 25);
      const lines = costs.map((c) => `${(100 * c.share).toFixed(1).padStart(5)} %  ${c.ms.toFixed(0).padStart(6)} ms  ${c.where}`);
      return `${node}: ${kept}\n${lines.join("\n")}\n`;
    })
    .join("\n");
  return shown + missing;
};
