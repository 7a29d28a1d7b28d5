// Does a rollout keep to its limits and always end?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Deployment } from "@ambit/shared/kube/objects/apps.ts";
import type { Condition } from "@ambit/shared/kube/objects/meta.ts";
import fc from "fast-check";
import { templateHash } from "../pods/template.ts";
import { ago, owner, pod, replicaSet, shown, statusIn, view } from "../test/fixtures.ts";
import { reconcileDeployment } from "./reconcile.ts";
import { freshSize, limits, oldSizes, resized, sizeOf } from "./replicas.ts";

const deployment = (
  spec: Partial<Deployment["spec"]> = {},
  more: { status?: Deployment["status"]; revision?: number } = {},
): Deployment => ({
  metadata: {
    name: "web",
    namespace: "d",
    uid: "uid-web",
    generation: 1,
    ...(more.revision === undefined ? {} : { annotations: { "deployment.kubernetes.io/revision": String(more.revision) } }),
  },
  spec: {
    replicas: 4,
    selector: { matchLabels: { app: "web" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "c", image: "v2" }] } },
    ...spec,
  },
  ...(more.status === undefined ? {} : { status: more.status }),
});
const rolling = (maxSurge: number | string, maxUnavailable: number | string) => ({
  strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge, maxUnavailable } },
});
const fresh = (size: number, available = size) => replicaSet("v2", { size, available, image: "v2", revision: 2, desired: 4 });
const old = (size: number, available = size) => replicaSet("v1", { size, available, image: "v1", age: 600, desired: 4 });

const surgeCases: readonly (readonly [string, Deployment, number, number, number])[] = [
  ["percentages: surge rounds up, unavailable down", deployment({ replicas: 5 }), 2, 1, 7],
  ["both zero would never move", deployment(rolling(0, 0)), 0, 1, 4],
  ["one replica by default: surge first", deployment({ replicas: 1 }), 1, 0, 2],
  ["Recreate has neither", deployment({ strategy: { type: "Recreate" } }), 0, 0, 4],
];
for (const [name, d, surge, unavailable, max] of surgeCases) test(name, () => assert.deepEqual(limits(d), { surge, unavailable, max }));

const rollCases: readonly (readonly [
  string,
  Deployment,
  Parameters<typeof replicaSet>[1] | undefined,
  Parameters<typeof replicaSet>[1],
  number,
  number,
])[] = [
  ["first step: up by the surge, nothing down", deployment(rolling(1, 0)), undefined, { size: 4 }, 1, 4],
  ["the surge pod is not available yet: nobody else moves", deployment(rolling(1, 0)), { size: 1, available: 0 }, { size: 4 }, 1, 4],
  ["the surge pod is available: one old goes", deployment(rolling(1, 0)), { size: 1 }, { size: 4 }, 1, 3],
  ["room again: one more up", deployment(rolling(1, 0)), { size: 1 }, { size: 3 }, 2, 3],
  ["maxUnavailable lets old pods go first", deployment(rolling(0, 2)), { size: 0, available: 0 }, { size: 4 }, 0, 2],
  [
    "old pods that never worked go first, as many as the total allows",
    deployment(rolling(1, 0)),
    { size: 1, available: 1 },
    { size: 4, available: 0 },
    1,
    3,
  ],
  ["done: the last old pod goes", deployment(rolling(1, 0)), { size: 4 }, { size: 1 }, 4, 0],
];
for (const [name, d, f, o, wantFresh, wantOld] of rollCases)
  test(`rolling: ${name}`, () => {
    const family = {
      deployment: d,
      fresh: f === undefined ? undefined : replicaSet("v2", { ...f, image: "v2" }),
      old: [replicaSet("v1", { ...o, image: "v1" })],
    };
    assert.equal(freshSize(family), wantFresh);
    const [first] = family.old;
    if (family.fresh !== undefined && first !== undefined) assert.equal(oldSizes(family).get(first) ?? sizeOf(first), wantOld);
  });

test("rolling never goes above the surge nor below minimum availability, and always ends", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 12 }),
      fc.integer({ min: 0, max: 5 }),
      fc.integer({ min: 0, max: 5 }),
      fc.array(fc.nat(3), { minLength: 60, maxLength: 60 }),
      (replicas, surge, unavailable, luck) => {
        const d = deployment({ replicas, ...rolling(surge, unavailable) });
        const { max, unavailable: mayMiss } = limits(d);
        let sizes = { old: replicas, fresh: 0 };
        let up = { old: replicas, fresh: 0 };
        for (let step = 0; step < 200 && (sizes.fresh !== replicas || sizes.old !== 0); step++) {
          // Pods come up at random pace, but they do come up.
          up = {
            old: Math.min(up.old, sizes.old),
            fresh: Math.min(sizes.fresh, up.fresh + ((luck[step % luck.length] ?? 0) > 0 || step > 100 ? 1 : 0)),
          };
          const o = replicaSet("v1", { size: sizes.old, available: up.old, image: "v1" });
          const f = replicaSet("v2", { size: sizes.fresh, available: up.fresh, image: "v2" });
          const grown = freshSize({ deployment: d, fresh: f, old: [o] });
          const next = grown > sizes.fresh ? sizes.old : (oldSizes({ deployment: d, fresh: f, old: [o] }).get(o) ?? sizes.old);
          assert.ok(grown + next <= Math.max(max, sizes.fresh + sizes.old), `${grown}+${next} pods of at most ${max}`);
          assert.ok(Math.min(up.old, next) + up.fresh >= Math.min(replicas - mayMiss, up.old + up.fresh), "minimum availability");
          sizes = { old: next, fresh: grown };
        }
        assert.deepEqual(sizes, { old: 0, fresh: replicas });
      },
    ),
  );
});

test("resize: several active sets share in proportion and add up to the surge limit", () => {
  const family = {
    deployment: deployment({ replicas: 8, ...rolling(2, 0) }),
    fresh: replicaSet("v2", { size: 2, available: 1, image: "v2" }),
    old: [replicaSet("v1", { size: 3, image: "v1" })],
  };
  const sizes = resized(family);
  assert.equal(
    [...sizes.values()].reduce((a, b) => a + b, 0),
    10,
  );
});

test("a new template: a new ReplicaSet with hash, revision and sizes written on it", () => {
  const plan = reconcileDeployment(deployment(), view({ replicaSets: [old(4)] }));
  const name = `web-${templateHash(deployment().spec.template)}`;
  assert.deepEqual(shown(plan), [`create replicasets ${name}`, "patch deployments web"]);
  const created = plan.actions[0];
  assert.ok(created?.do === "create");
  assert.deepEqual(created.object.metadata.annotations, {
    "deployment.kubernetes.io/revision": "2",
    "deployment.kubernetes.io/desired-replicas": "4",
    "deployment.kubernetes.io/max-replicas": "5",
  });
  assert.equal(progress(statusIn(plan)), `True NewReplicaSetCreated Created new replica set "${name}"`);
});

test("undo: the old template again means the old set with a new revision, not a new set", () => {
  const back = deployment(
    { template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "c", image: "v1" }] } } },
    { revision: 2 },
  );
  const plan = reconcileDeployment(back, view({ replicaSets: [old(0), fresh(4)] }));
  assert.deepEqual(shown(plan), ["update replicasets v1", "patch deployments web"]);
  const update = plan.actions[0];
  assert.ok(update?.do === "update" && update.object.metadata.annotations?.["deployment.kubernetes.io/revision"] === "3");
});

test("paused: a new template makes nothing, but scaling works", () => {
  const d = deployment({ paused: true, replicas: 6 }, { revision: 1 });
  assert.deepEqual(shown(reconcileDeployment(d, view({ replicaSets: [old(4)] }))), ["update replicasets v1"]);
  assert.equal(
    progress(statusIn(reconcileDeployment(d, view({ replicaSets: [old(4)] })))),
    "Unknown DeploymentPaused Deployment is paused",
  );
});

test("Recreate: no new pod while an old one lives", () => {
  const d = deployment({ strategy: { type: "Recreate" } }, { revision: 1 });
  assert.deepEqual(shown(reconcileDeployment(d, view({ replicaSets: [old(4)] }))), ["update replicasets v1"]);
  const ending = pod("a", { deleting: true, owner: owner("ReplicaSet", "v1") });
  assert.deepEqual(
    shown(reconcileDeployment(d, view({ replicaSets: [replicaSet("v1", { size: 0, created: 0, image: "v1" })], pods: [ending] }))),
    [],
  );
  assert.match(
    shown(reconcileDeployment(d, view({ replicaSets: [replicaSet("v1", { size: 0, created: 0, image: "v1" })] })))[0] ?? "",
    /^create replicasets web-/,
  );
});

test("history: the oldest empty sets beyond the limit go once the rollout is complete", () => {
  const d = deployment({ revisionHistoryLimit: 1 }, { revision: 4 });
  const empty = (name: string, revision: number) => replicaSet(name, { size: 0, image: name, revision });
  const sets = [empty("a", 1), empty("b", 2), empty("c", 3), replicaSet("v2", { size: 4, image: "v2", revision: 4, desired: 4 })];
  assert.deepEqual(
    shown(reconcileDeployment(d, view({ replicaSets: sets }))).filter((s) => s.startsWith("delete")),
    ["delete replicasets a", "delete replicasets b"],
  );
});

const progress = (status: Record<string, unknown> | undefined): string => {
  const c = (status?.conditions as readonly Condition[] | undefined)?.find((x) => x.type === "Progressing");
  return `${c?.status} ${c?.reason} ${c?.message}`;
};
const condition = (reason: string, secondsAgo: number): Condition => ({
  type: "Progressing",
  status: "True",
  reason,
  message: "m",
  lastUpdateTime: ago(secondsAgo),
  lastTransitionTime: ago(secondsAgo),
});
const statusCases: readonly (readonly [string, Deployment, ReturnType<typeof replicaSet>[], string])[] = [
  [
    "complete",
    deployment({}, { status: { conditions: [condition("ReplicaSetUpdated", 5)], replicas: 4, updatedReplicas: 4, availableReplicas: 3 } }),
    [fresh(4)],
    'True NewReplicaSetAvailable ReplicaSet "v2" has successfully progressed.',
  ],
  [
    "more became available: progress",
    deployment({}, { status: { conditions: [condition("ReplicaSetUpdated", 5)], updatedReplicas: 4, replicas: 4, availableReplicas: 2 } }),
    [fresh(4, 3)],
    'True ReplicaSetUpdated ReplicaSet "v2" is progressing.',
  ],
  [
    "no progress beyond the deadline",
    deployment(
      { progressDeadlineSeconds: 60 },
      {
        status: {
          conditions: [condition("ReplicaSetUpdated", 61)],
          updatedReplicas: 4,
          replicas: 4,
          availableReplicas: 3,
          readyReplicas: 3,
        },
      },
    ),
    [fresh(4, 3)],
    'False ProgressDeadlineExceeded ReplicaSet "v2" has timed out progressing.',
  ],
  [
    "a finished rollout stays finished when a pod is lost later",
    deployment(
      { progressDeadlineSeconds: 60 },
      {
        status: {
          conditions: [condition("NewReplicaSetAvailable", 600)],
          updatedReplicas: 4,
          replicas: 4,
          availableReplicas: 4,
          readyReplicas: 4,
        },
      },
    ),
    [fresh(4, 2)],
    "True NewReplicaSetAvailable m",
  ],
];
for (const [name, d, sets, expected] of statusCases)
  test(`status: ${name}`, () =>
    assert.equal(
      progress(
        statusIn(
          reconcileDeployment(
            { ...d, metadata: { ...d.metadata, annotations: { "deployment.kubernetes.io/revision": "2" } } },
            view({ replicaSets: sets }),
          ),
        ),
      ),
      expected,
    ));

test("steady: nothing is written twice", () => {
  const d = deployment({}, { revision: 2 });
  const first = reconcileDeployment(d, view({ replicaSets: [fresh(4)] }));
  const settled = { ...d, status: statusIn(first) as NonNullable<Deployment["status"]> };
  const sets = first.actions.flatMap((a) => (a.do === "update" ? [a.object as ReturnType<typeof fresh>] : []));
  assert.deepEqual(reconcileDeployment(settled, view({ replicaSets: sets.length > 0 ? sets : [fresh(4)] })).actions, []);
});
