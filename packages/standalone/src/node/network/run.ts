// How are the plans carried out on this machine, and how does everything of one instance go away again?

import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { inNetns, openNetns } from "@ambit/shared/linux/netns.ts";
import { fabricNetns, netnsPath, netnsPrefix, nodeNetns, podNetns } from "../instance.ts";
import { runTool, tryTool } from "../tools/run.ts";
import { fabricPlan, nodePlan, type PodSandbox, podPlan, podTeardown, type Step } from "./plan.ts";

const applySysctls = (netns: string, sysctls: NonNullable<Step["sysctls"]>): void => {
  using handle = openNetns(netnsPath(netns));
  // /proc/sys/net shows the calling thread's namespace, so plain synchronous writes do.
  inNetns(handle.fd, () => {
    for (const [path, value] of sysctls) {
      if (path.startsWith("bridge/") && !existsSync(`/proc/sys/net/${path}`)) continue;
      writeFileSync(`/proc/sys/net/${path}`, value);
    }
  });
};

const batch = (step: Step): readonly [args: readonly string[], input: string] => [
  [...(step.netns === undefined ? [] : ["-n", step.netns]), "-batch", "-"],
  `${step.ip.join("\n")}\n`,
];

/** Carries the steps out in order; one `ip` process a step. Throws ToolError at the first that fails. */
const applySteps = async (steps: readonly Step[]): Promise<void> => {
  for (const step of steps) {
    if (step.netns !== undefined && step.sysctls !== undefined) applySysctls(step.netns, step.sysctls);
    await runTool("ip", ...batch(step));
  }
};

/** Carries out what can be: for taking down what may be half there. */
const applyLoosely = async (steps: readonly Step[]): Promise<void> => {
  for (const step of steps) {
    if (step.netns !== undefined && !existsSync(netnsPath(step.netns))) continue;
    const [args, input] = batch(step);
    await tryTool("ip", ["-force", ...args], input);
  }
};

export const netnsExists = (name: string): boolean => existsSync(netnsPath(name));

/** Makes the fabric unless it is there. */
export const ensureFabric = async (id: string): Promise<void> => {
  if (!netnsExists(fabricNetns(id))) await applySteps(fabricPlan(id));
};

/** Makes the node's namespace and links unless they are there; the fabric must be. */
export const ensureNode = async (id: string, node: number, nodes: number): Promise<void> => {
  if (!netnsExists(nodeNetns(id, node))) await applySteps(nodePlan(id, node, nodes));
};

/** Makes the pod's namespace afresh; one left over under its name is removed first. */
export const createPodNetwork = async (id: string, pod: PodSandbox): Promise<void> => {
  if (netnsExists(podNetns(id, pod.uid))) await removePodNetwork(id, pod);
  try {
    await applySteps(podPlan(id, pod));
  } catch (e) {
    await removePodNetwork(id, pod);
    throw e;
  }
};

export const removePodNetwork = async (id: string, pod: Pick<PodSandbox, "uid" | "node">): Promise<void> => {
  const steps = podTeardown(id, pod.uid, pod.node);
  await applyLoosely(netnsExists(podNetns(id, pod.uid)) ? steps : steps.slice(0, 1));
};

/** The instance's namespaces that exist now. */
export const instanceNetns = (id: string): readonly string[] =>
  existsSync("/run/netns") ? readdirSync("/run/netns").filter((name) => name.startsWith(netnsPrefix(id))) : [];

/** Removes every namespace of the instance (links and tables go with them) and nothing else. Calling it again does nothing. */
export const removeNetwork = async (id: string): Promise<void> => {
  const names = instanceNetns(id);
  if (names.length > 0) await tryTool("ip", ["-force", "-batch", "-"], names.map((name) => `netns del ${name}\n`).join(""));
  const left = instanceNetns(id);
  if (left.length > 0) throw new Error(`cannot remove the network namespaces ${left.join(", ")}: are they still mounted elsewhere?`);
};
