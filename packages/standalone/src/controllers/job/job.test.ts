// Does a Job run as many pods as it needs, and stop when it should?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Job } from "@ambit/shared/kube/objects/apps.ts";
import { ago, owner, type PodInit, pod, shown, statusIn, view } from "../test/fixtures.ts";
import { reconcileJob } from "./reconcile.ts";

const job = (spec: Partial<Job["spec"]> = {}, status?: Job["status"]): Job => ({
  metadata: { name: "j", namespace: "d", uid: "uid-j" },
  spec: { template: { spec: { containers: [{ name: "c" }], restartPolicy: "Never" } }, ...spec },
  ...(status === undefined ? {} : { status }),
});
const ran = (name: string, init: PodInit = {}) => pod(name, { owner: owner("Job", "j"), ...init });
const end = (plan: ReturnType<typeof reconcileJob>): string | undefined =>
  (statusIn(plan)?.conditions as { type: string; reason: string }[] | undefined)?.map((c) => `${c.type} ${c.reason}`).join();

test("starts one pod", () => assert.deepEqual(shown(reconcileJob(job(), view({}))), ["create pods j-"]));
test("as many at once as asked, no more than are needed", () =>
  assert.deepEqual(
    shown(
      reconcileJob(
        job({ completions: 5, parallelism: 3 }),
        view({ pods: [ran("a", { phase: "Succeeded" }), ran("b", { phase: "Succeeded" }), ran("c", { phase: "Succeeded" }), ran("d")] }),
      ),
    ),
    ["create pods j-"],
  ));
test("a failed pod is tried again", () =>
  assert.deepEqual(shown(reconcileJob(job(), view({ pods: [ran("a", { phase: "Failed" })] }))), ["create pods j-"]));
test("too many failures: failed, and what runs is stopped", () => {
  const plan = reconcileJob(
    job({ backoffLimit: 1, parallelism: 2, completions: 2 }),
    view({ pods: [ran("a", { phase: "Failed" }), ran("b", { phase: "Failed" }), ran("c")] }),
  );
  assert.equal(end(plan), "Failed BackoffLimitExceeded");
  assert.deepEqual(shown(plan), ["delete pods c"]);
});
test("done", () =>
  assert.equal(end(reconcileJob(job(), view({ pods: [ran("a", { phase: "Succeeded" })] }))), "Complete CompletionsReached"));
test("beyond its deadline: failed", () =>
  assert.equal(
    end(reconcileJob(job({ activeDeadlineSeconds: 10 }, { startTime: ago(11) }), view({ pods: [ran("a")] }))),
    "Failed DeadlineExceeded",
  ));
test("suspended: its pods stop", () =>
  assert.deepEqual(shown(reconcileJob(job({ suspend: true }), view({ pods: [ran("a")] }))), ["delete pods a"]));
test("kept for its TTL, then deleted", () => {
  const done = (s: number) =>
    job({ ttlSecondsAfterFinished: 30 }, { conditions: [{ type: "Complete", status: "True", lastTransitionTime: ago(s) }] });
  assert.equal(reconcileJob(done(10), view({})).againMs, 20_050);
  assert.deepEqual(shown(reconcileJob(done(30), view({}))), ["delete jobs j"]);
});
