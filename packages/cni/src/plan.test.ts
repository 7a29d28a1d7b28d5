// Who is captured, and which steps remain.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Namespace } from "@ambit/shared/kube/objects/core.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import fc from "fast-check";
import { type EnrolmentPlan, enrolmentText, NO_OPTIONS, type PodOptions, planEnrolment } from "./plan.ts";
import { type Done, NOTHING_DONE, type PodPhase, remainingSteps } from "./steps.ts";

type Over = { labels?: Record<string, string>; annotations?: Record<string, string>; spec?: object; status?: object };
const aPod = ({ labels = {}, annotations = {}, spec = {}, status = {} }: Over = {}): Pod =>
  ({
    metadata: { name: "p", namespace: "ns", uid: "u", labels, annotations },
    spec: { containers: [], ...spec },
    status: { phase: "Running", podIP: "10.0.0.1", ...status },
  }) as Pod;
const ns = (labels: Record<string, string>): Namespace => ({ metadata: { name: "ns", labels } });
const AMBIENT = { "istio.io/dataplane-mode": "ambient" };
const NONE = { "istio.io/dataplane-mode": "none" };

type Case = { name: string; pod?: Over; namespace?: Record<string, string> | null; exclude?: string[]; want: string };
const cases: Case[] = [
  { name: "ambient namespace", namespace: AMBIENT, want: "enrol namespace-label" },
  { name: "ambient pod in a plain namespace", pod: { labels: AMBIENT }, want: "enrol pod-label" },
  { name: "ambient pod whose namespace is not known yet", pod: { labels: AMBIENT }, namespace: null, want: "enrol pod-label" },
  { name: "no label", want: "leave not-labelled" },
  { name: "namespace not known yet", namespace: null, want: "wait unknown-namespace" },
  { name: "opted out, whatever its namespace is", pod: { labels: NONE }, namespace: null, want: "leave pod-opted-out" },
  {
    name: "opted out, without address",
    pod: { labels: NONE, status: { podIP: undefined } },
    namespace: AMBIENT,
    want: "leave pod-opted-out",
  },
  { name: "pod opts out", pod: { labels: NONE }, namespace: AMBIENT, want: "leave pod-opted-out" },
  { name: "another value is not ambient", namespace: { "istio.io/dataplane-mode": "Ambient" }, want: "leave not-labelled" },
  { name: "host network", pod: { spec: { hostNetwork: true } }, namespace: AMBIENT, want: "leave host-network" },
  { name: "sidecar", pod: { annotations: { "sidecar.istio.io/status": "{}" } }, namespace: AMBIENT, want: "leave has-sidecar" },
  { name: "excluded namespace wins over the pod's label", pod: { labels: AMBIENT }, exclude: ["ns"], want: "leave excluded-namespace" },
  {
    name: "ztunnel itself",
    pod: { labels: { app: "ztunnel" }, spec: { serviceAccountName: "ztunnel" } },
    namespace: AMBIENT,
    want: "leave is-ztunnel",
  },
  { name: "no address yet", pod: { status: { podIP: undefined } }, namespace: AMBIENT, want: "wait no-address-yet" },
  { name: "succeeded", pod: { status: { phase: "Succeeded" } }, namespace: AMBIENT, want: "forget succeeded" },
  { name: "failed", pod: { status: { phase: "Failed" } }, namespace: AMBIENT, want: "forget failed" },
];
for (const c of cases)
  test(`planEnrolment: ${c.name}`, () => {
    const namespace = c.namespace === null ? undefined : ns(c.namespace ?? {});
    const plan = planEnrolment({ pod: aPod(c.pod), namespace, excludeNamespaces: c.exclude ?? [], captureDns: true });
    assert.equal(`${plan.kind} ${plan.why}`, c.want);
    assert.ok(enrolmentText(plan).length > 20);
  });

const DNS = "ambient.istio.io/dns-capture";
const optionCases: [string, Record<string, string>, boolean, Partial<PodOptions>][] = [
  ["DNS is captured as the agent is told", {}, true, { captureDns: true }],
  ["or not captured", {}, false, { captureDns: false }],
  ["the pod's annotation wins: off", { [DNS]: "false" }, true, { captureDns: false }],
  ["the pod's annotation wins: on", { [DNS]: "true" }, false, { captureDns: true }],
  ["an annotation that says neither says nothing", { [DNS]: "no" }, true, { captureDns: true }],
  ["inbound bypass", { "ambient.istio.io/bypass-inbound-capture": "true" }, true, { bypassInbound: true, captureDns: true }],
];
for (const [name, annotations, captureDns, want] of optionCases)
  test(`options: ${name}`, () => {
    const plan = planEnrolment({ pod: aPod({ labels: AMBIENT, annotations }), namespace: ns({}), excludeNamespaces: [], captureDns });
    assert.deepEqual(plan.kind === "enrol" && plan.options, { ...NO_OPTIONS, ...want });
  });

const enrol: EnrolmentPlan = { kind: "enrol", why: "pod-label", options: NO_OPTIONS };
const leave: EnrolmentPlan = { kind: "leave", why: "not-labelled" };
const wait: EnrolmentPlan = { kind: "wait", why: "unknown-namespace" };
const forget: EnrolmentPlan = { kind: "forget", why: "deleted" };
const all: Done = { rules: "yes", announced: true, farewell: false, probes: true, annotation: "enabled" };

const ending = { serving: false, ending: true };
const steps: [string, EnrolmentPlan, Done, boolean | PodPhase, string[]][] = [
  ["a new pod: rules before ztunnel knows", enrol, NOTHING_DONE, false, ["add-probes", "write-rules", "announce", "annotate-enabled"]],
  ["a serving pod: listeners before rules", enrol, NOTHING_DONE, true, ["add-probes", "announce", "write-rules", "annotate-enabled"]],
  ["captured: nothing", enrol, all, true, []],
  ["pending: announce and mark", enrol, { ...all, announced: false, annotation: "pending" }, true, ["announce", "annotate-enabled"]],
  ["rules of an earlier agent are written again", enrol, { ...all, rules: "stale" }, true, ["write-rules"]],
  ["label removed", leave, all, true, ["delete-rules", "withdraw", "delete-probes", "delete-annotation"]],
  ["not known for now: a captured pod stays captured", wait, all, true, []],
  ["not known for now: what is half done stays half done", wait, { ...all, announced: false, probes: false }, true, []],
  ["told to end: ztunnel hears it first", enrol, { ...all, probes: false }, ending, ["say-farewell", "add-probes"]],
  ["told to end, and ztunnel knows", enrol, { ...all, farewell: true }, ending, []],
  ["told to end, its namespace not known", wait, all, ending, ["say-farewell"]],
  ["told to end before it was announced", enrol, { ...all, announced: false }, ending, ["announce"]],
  ["not known yet: nothing begins", wait, NOTHING_DONE, false, []],
  ["never captured", leave, NOTHING_DONE, true, []],
  ["deleted: the namespace is left alone", forget, all, true, ["delete-probes", "withdraw"]],
];
for (const [name, plan, done, phase, want] of steps)
  test(`remainingSteps: ${name}`, () =>
    assert.deepEqual(remainingSteps(plan, done, typeof phase === "boolean" ? { serving: phase, ending: false } : phase), want));

test("carrying out the steps always ends with none left", () => {
  const effect: Record<string, Partial<Done>> = {
    "write-rules": { rules: "yes" },
    "delete-rules": { rules: "no" },
    announce: { announced: true },
    "say-farewell": { farewell: true },
    withdraw: { announced: false },
    "add-probes": { probes: true },
    "delete-probes": { probes: false },
    "annotate-enabled": { annotation: "enabled" },
    "delete-annotation": { annotation: undefined },
  };
  const arbDone: fc.Arbitrary<Done> = fc.record({
    rules: fc.constantFrom("yes" as const, "no" as const, "stale" as const),
    announced: fc.boolean(),
    farewell: fc.boolean(),
    probes: fc.boolean(),
    annotation: fc.constantFrom("enabled" as const, "pending" as const, undefined),
  });
  fc.assert(
    fc.property(
      fc.constantFrom(enrol, leave, wait, forget),
      arbDone,
      fc.record({ serving: fc.boolean(), ending: fc.boolean() }),
      (plan, start, phase) => {
        let done = start;
        for (let i = 0; i < 8; i++) {
          const [step] = remainingSteps(plan, done, phase);
          if (step === undefined) return;
          done = { ...done, ...effect[step] };
        }
        assert.deepEqual(remainingSteps(plan, done, phase), []);
      },
    ),
  );
});
