// What is left to do for a pod, in which order? (wanted against done; ambient-l4 section 8, AddPodToMesh)

import type { EnrolmentPlan } from "./plan.ts";

/** What is known to hold now. */
export type Done = {
  /** Redirect rules in the pod's namespace; stale: there, but written by an agent before us. */
  readonly rules: "yes" | "no" | "stale";
  /** ztunnel has acknowledged the pod. */
  readonly announced: boolean;
  /** ztunnel knows that the pod has been told to end. */
  readonly farewell: boolean;
  /** Its addresses are in the node's probe set. */
  readonly probes: boolean;
  /** The value of the annotation `ambient.istio.io/redirection`. */
  readonly annotation: "enabled" | "pending" | undefined;
};

export type Step =
  | "write-rules"
  | "delete-rules"
  | "announce"
  | "say-farewell"
  | "withdraw"
  | "add-probes"
  | "delete-probes"
  | "annotate-enabled"
  | "delete-annotation";

export const NOTHING_DONE: Done = { rules: "no", announced: false, farewell: false, probes: false, annotation: undefined };

/** What the pod is doing: it answers already; it has been told to end. */
export type PodPhase = { readonly serving: boolean; readonly ending: boolean };

/**
 * The steps that remain, in order. A pod that starts gets its rules before ztunnel knows of it, so that nothing it
 * sends escapes in clear. A pod that already serves gets its listeners first, so that no connection meets a closed port.
 * That a pod ends is told before all else: its application may be gone in a moment.
 */
export const remainingSteps = (wanted: EnrolmentPlan, done: Done, { serving, ending }: PodPhase): readonly Step[] => {
  const when = (condition: boolean, step: Step): readonly Step[] => (condition ? [step] : []);
  const farewell = when(ending && done.announced && !done.farewell, "say-farewell");
  if (wanted.kind === "enrol") {
    const rules = when(done.rules !== "yes", "write-rules");
    const announce = when(!done.announced, "announce");
    return [
      ...farewell,
      ...when(!done.probes, "add-probes"),
      ...(serving ? [...announce, ...rules] : [...rules, ...announce]),
      ...when(done.annotation !== "enabled", "annotate-enabled"),
    ];
  }
  if (wanted.kind === "wait") return farewell;
  if (wanted.kind === "forget") return [...when(done.probes, "delete-probes"), ...when(done.announced, "withdraw")];
  return [
    ...when(done.rules !== "no", "delete-rules"),
    ...when(done.announced, "withdraw"),
    ...when(done.probes, "delete-probes"),
    ...when(done.annotation !== undefined, "delete-annotation"),
  ];
};
