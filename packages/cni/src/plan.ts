// Is this pod captured, and why or why not? (ambient-l4 section 8)

import type { Namespace } from "@ambit/shared/kube/objects/core.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";

const DATAPLANE_MODE = "istio.io/dataplane-mode";
export const REDIRECTION = "ambient.istio.io/redirection";
const BYPASS_INBOUND = "ambient.istio.io/bypass-inbound-capture";
const DNS_CAPTURE = "ambient.istio.io/dns-capture";
const SIDECAR_STATUS = "sidecar.istio.io/status";

export type PodOptions = {
  /** Plaintext inbound is not redirected (`ambient.istio.io/bypass-inbound-capture`). */
  readonly bypassInbound: boolean;
  /** Its DNS goes through ztunnel (`ambient.istio.io/dns-capture`, else AMBIENT_DNS_CAPTURE). */
  readonly captureDns: boolean;
};

export const NO_OPTIONS: PodOptions = { bypassInbound: false, captureDns: false };

export type EnrolmentPlan =
  | { readonly kind: "enrol"; readonly why: "pod-label" | "namespace-label"; readonly options: PodOptions }
  | { readonly kind: "leave"; readonly why: LeaveReason }
  /** What decides is not known for now: what was done stays done, and nothing new is begun. Not knowing may never let traffic out. */
  | { readonly kind: "wait"; readonly why: WaitReason }
  /** The pod has ended: what was kept for it is forgotten, its namespace is left as it is. */
  | { readonly kind: "forget"; readonly why: "succeeded" | "failed" | "deleted" };

export type LeaveReason = "not-labelled" | "pod-opted-out" | "host-network" | "has-sidecar" | "excluded-namespace" | "is-ztunnel";

export type WaitReason = "unknown-namespace" | "no-address-yet";

export type EnrolmentInput = {
  readonly pod: Pod;
  readonly namespace: Namespace | undefined;
  readonly excludeNamespaces: readonly string[];
  /** For pods that do not say it themselves. */
  readonly captureDns: boolean;
};

const isZtunnel = (pod: Pod): boolean => pod.metadata.labels?.app === "ztunnel" && pod.spec?.serviceAccountName === "ztunnel";

/** As the pod's annotation says; one that is neither true nor false says nothing. */
const dnsCaptured = (pod: Pod, otherwise: boolean): boolean => {
  const said = pod.metadata.annotations?.[DNS_CAPTURE];
  return said === "true" || (said !== "false" && otherwise);
};

/** Enrolled when the pod's own label says ambient, or its namespace's does and the pod does not say none; then the exceptions. */
export const planEnrolment = ({ pod, namespace, excludeNamespaces, captureDns }: EnrolmentInput): EnrolmentPlan => {
  if (pod.status?.phase === "Succeeded") return { kind: "forget", why: "succeeded" };
  if (pod.status?.phase === "Failed") return { kind: "forget", why: "failed" };
  const own = pod.metadata.labels?.[DATAPLANE_MODE];
  const leave = (why: LeaveReason): EnrolmentPlan => ({ kind: "leave", why });
  const wait = (why: WaitReason): EnrolmentPlan => ({ kind: "wait", why });
  if (pod.spec?.hostNetwork === true) return leave("host-network");
  if (excludeNamespaces.includes(pod.metadata.namespace ?? "")) return leave("excluded-namespace");
  if (isZtunnel(pod)) return leave("is-ztunnel");
  if (pod.metadata.annotations?.[SIDECAR_STATUS] !== undefined) return leave("has-sidecar");
  if (own === "none") return leave("pod-opted-out");
  if (own !== "ambient") {
    if (namespace === undefined) return wait("unknown-namespace");
    if (namespace.metadata.labels?.[DATAPLANE_MODE] !== "ambient") return leave("not-labelled");
  }
  if (podAddresses(pod).length === 0) return wait("no-address-yet");
  const options = {
    bypassInbound: pod.metadata.annotations?.[BYPASS_INBOUND] === "true",
    captureDns: dnsCaptured(pod, captureDns),
  };
  return { kind: "enrol", why: own === "ambient" ? "pod-label" : "namespace-label", options };
};

/** The pod's addresses as text, both families. */
export const podAddresses = (pod: Pod): readonly string[] => {
  const all = (pod.status?.podIPs ?? []).map((p) => p.ip);
  return all.length > 0 || pod.status?.podIP === undefined ? all : [pod.status.podIP];
};

const SENTENCES: Readonly<Record<LeaveReason | WaitReason | "succeeded" | "failed" | "deleted" | "pod-label" | "namespace-label", string>> =
  {
    "not-labelled": `neither the pod nor its namespace has the label ${DATAPLANE_MODE}=ambient`,
    "pod-opted-out": `the pod has the label ${DATAPLANE_MODE}=none`,
    "host-network": "the pod uses its node's network namespace, which is never captured",
    "has-sidecar": `the pod has a sidecar (annotation ${SIDECAR_STATUS})`,
    "excluded-namespace": "its namespace is excluded by EXCLUDE_NAMESPACES",
    "is-ztunnel": "the pod is a ztunnel",
    "unknown-namespace": "its namespace is not known yet",
    "no-address-yet": "the pod has no address yet",
    succeeded: "the pod has succeeded",
    failed: "the pod has failed",
    deleted: "the pod is deleted",
    "pod-label": `the pod has the label ${DATAPLANE_MODE}=ambient`,
    "namespace-label": `its namespace has the label ${DATAPLANE_MODE}=ambient`,
  };

const OUTCOMES: Readonly<Record<EnrolmentPlan["kind"], string>> = {
  enrol: "captured",
  leave: "not captured",
  wait: "left as it is",
  forget: "not captured",
};

/** The reason as a clause for logs and `ambit explain`. */
export const enrolmentText = (plan: EnrolmentPlan): string => `${OUTCOMES[plan.kind]}: ${SENTENCES[plan.why]}`;
