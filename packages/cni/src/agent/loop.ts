// How is one pod brought to where it is wanted: the next step, again after a failure, until none is left?

import { isNotFound } from "@ambit/shared/kube/error.ts";
import type { Netns } from "@ambit/shared/linux/netns.ts";
import { backoffMs } from "@ambit/shared/runtime/backoff.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { ScopedLogger } from "@ambit/shared/telemetry/log.ts";
import { type EnrolmentPlan, enrolmentText, NO_OPTIONS } from "../plan.ts";
import { type Done, remainingSteps, type Step } from "../steps.ts";
import type { ZdsServer } from "../zds/server.ts";
import type { PodActions } from "./actions.ts";
import { type Kept, keyOf, phaseOf, podInfo, uidOf } from "./kept.ts";

export type LoopDeps = {
  readonly actions: PodActions;
  readonly zds: () => Pick<ZdsServer, "add" | "del" | "terminating">;
  readonly world: World;
  readonly log: ScopedLogger;
  readonly onStep: (step: Step, outcome: "ok" | "error") => void;
  /** Asked again before each step. */
  readonly wanted: (k: Kept) => EnrolmentPlan;
};

const RETRY = { baseMs: 50, maxMs: 5_000 };

/** The pod's namespace, looked for until it is found and then held. */
export const findNetnsOf = (k: Kept, actions: Pick<PodActions, "findNetns">): Netns | undefined => {
  k.netns ??= actions.findNetns(k.pod);
  return k.netns;
};

const netnsOf = (k: Kept, actions: PodActions): Netns => {
  const netns = findNetnsOf(k, actions);
  if (netns === undefined) throw new Error("no process of the pod runs yet in a namespace that has its address");
  return netns;
};

/** Carries one step out; what it makes true. */
const perform = async (k: Kept, todo: { readonly step: Step; readonly plan: EnrolmentPlan }, deps: LoopDeps): Promise<Partial<Done>> => {
  const { actions } = deps;
  const { step, plan } = todo;
  switch (step) {
    case "write-rules":
      await actions.writeRules(netnsOf(k, actions), k.pod, plan.kind === "enrol" ? plan.options : NO_OPTIONS);
      return { rules: "yes" };
    case "delete-rules":
      await actions.deleteRules(netnsOf(k, actions), k.pod);
      return { rules: "no" };
    case "announce":
      await deps.zds().add(uidOf(k.pod), podInfo(k.pod), netnsOf(k, actions).fd);
      return { announced: true };
    case "say-farewell":
      await deps.zds().terminating(uidOf(k.pod));
      return { farewell: true };
    case "withdraw":
      await deps.zds().del(uidOf(k.pod));
      return { announced: false };
    case "add-probes":
      await actions.addProbes(k.pod);
      return { probes: true };
    case "delete-probes":
      await actions.removeProbes(k.pod);
      return { probes: false };
    case "annotate-enabled":
      await actions.annotate(k.pod, "enabled");
      return { annotation: "enabled" };
    case "delete-annotation":
      await actions.annotate(k.pod, undefined);
      return { annotation: undefined };
  }
};

/** Says why once, marks the pod as pending where ztunnel is missing, and waits for the next try or for news. */
const afterFailure = async (k: Kept, failed: { step: Step; error: unknown; attempt: number }, deps: LoopDeps): Promise<void> => {
  const { step, error, attempt } = failed;
  const { log, world } = deps;
  const sentence = error instanceof Error ? error.message : String(error);
  if (k.lastError !== sentence) log.warn("pod not in its wanted state yet", { pod: keyOf(k.pod), step, error: sentence });
  k.lastError = sentence;
  // A pod that was captured stays marked so: its rules hold, and ztunnel is told of it by the next snapshot.
  if (step === "announce" && k.done.annotation === undefined) {
    await deps.actions.annotate(k.pod, "pending").then(
      () => {
        k.done = { ...k.done, annotation: "pending" };
      },
      (e: unknown) => log.debug("the pending annotation was not written", { pod: keyOf(k.pod), error: String(e) }),
    );
  }
  await world.sleep(backoffMs(attempt, world.random, RETRY), k.wake.signal).catch(() => undefined); // woken early: something changed
};

/** Works until nothing is left to do; true when the pod needs nothing of us any more. */
export const bringAbout = async (k: Kept, deps: LoopDeps, stop: AbortSignal): Promise<boolean> => {
  for (let attempt = 0; !stop.aborted; ) {
    k.wake = new AbortController(); // before the look: what changes after it ends the wait that follows
    const plan = deps.wanted(k);
    const [step] = remainingSteps(plan, k.done, phaseOf(k.pod));
    if (step === undefined) return plan.kind === "leave" || plan.kind === "forget";
    try {
      k.done = { ...k.done, ...(await perform(k, { step, plan }, deps)) };
      k.lastError = undefined;
      attempt = 0;
      deps.onStep(step, "ok");
      if (step === "annotate-enabled" || step === "delete-annotation") deps.log.info(enrolmentText(plan), { pod: keyOf(k.pod) });
    } catch (error) {
      if (isNotFound(error)) {
        // Only annotating asks the API server: the pod is gone, and its deletion is on its way through the watch.
        k.done = { ...k.done, annotation: plan.kind === "enrol" ? "enabled" : undefined };
        continue;
      }
      deps.onStep(step, "error");
      await afterFailure(k, { step, error, attempt: attempt++ }, deps);
    }
  }
  return false;
};
