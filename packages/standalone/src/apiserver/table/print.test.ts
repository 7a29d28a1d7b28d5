import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "../model/object.ts";
import { humanDuration } from "./age.ts";
import { findJsonPath, parseJsonPath } from "./jsonpath.ts";
import { summarise } from "./pod.ts";
import { toTable } from "./print.ts";

const NOW = Date.parse("2024-01-01T01:00:00Z");
const meta = (name: string, more: JsonObject = {}) => ({ name, creationTimestamp: "2024-01-01T00:55:00Z", ...more });

const running = (name: string, more: JsonObject = {}) => ({ name, ready: true, restartCount: 0, state: { running: {} }, ...more });
const waiting = (name: string, reason: string, restartCount = 0) => ({ name, ready: false, restartCount, state: { waiting: { reason } } });
const ended = (name: string, exitCode: number, reason?: string) => ({
  name,
  ready: false,
  restartCount: 0,
  state: { terminated: { exitCode, ...(reason === undefined ? {} : { reason }) } },
});

const pod = (spec: JsonObject, status: JsonObject, metadata: JsonObject = {}): JsonObject => ({
  metadata: meta("p", metadata),
  spec: { containers: [{ name: "a" }], ...spec },
  status,
});

const pods: readonly { name: string; pod: JsonObject; expect: string }[] = [
  { name: "running", pod: pod({}, { phase: "Running", containerStatuses: [running("a")] }), expect: "1/1 Running 0" },
  { name: "pending", pod: pod({}, { phase: "Pending" }), expect: "0/1 Pending 0" },
  { name: "a reason of its own", pod: pod({}, { phase: "Failed", reason: "Evicted" }), expect: "0/1 Evicted 0" },
  {
    name: "creating",
    pod: pod({}, { phase: "Pending", containerStatuses: [waiting("a", "ContainerCreating")] }),
    expect: "0/1 ContainerCreating 0",
  },
  {
    name: "crash loop",
    pod: pod({}, { phase: "Running", containerStatuses: [waiting("a", "CrashLoopBackOff", 3)] }),
    expect: "0/1 CrashLoopBackOff 3",
  },
  { name: "completed", pod: pod({}, { phase: "Succeeded", containerStatuses: [ended("a", 0, "Completed")] }), expect: "0/1 Completed 0" },
  { name: "failed without reason", pod: pod({}, { phase: "Failed", containerStatuses: [ended("a", 7)] }), expect: "0/1 ExitCode:7 0" },
  {
    name: "one of two completed, pod ready",
    pod: pod(
      { containers: [{ name: "a" }, { name: "b" }] },
      { phase: "Running", conditions: [{ type: "Ready", status: "True" }], containerStatuses: [ended("a", 0, "Completed"), running("b")] },
    ),
    expect: "1/2 Running 0",
  },
  {
    name: "one of two completed, pod not ready",
    pod: pod(
      { containers: [{ name: "a" }, { name: "b" }] },
      { phase: "Running", containerStatuses: [ended("a", 0, "Completed"), running("b")] },
    ),
    expect: "1/2 NotReady 0",
  },
  {
    name: "initialising",
    pod: pod(
      { initContainers: [{ name: "i" }, { name: "j" }] },
      { phase: "Pending", initContainerStatuses: [ended("i", 0, "Completed"), { name: "j", restartCount: 0, state: { running: {} } }] },
    ),
    expect: "0/1 Init:1/2 0",
  },
  {
    name: "init fails",
    pod: pod({ initContainers: [{ name: "i" }] }, { phase: "Pending", initContainerStatuses: [ended("i", 1, "Error")] }),
    expect: "0/1 Init:Error 0",
  },
  {
    name: "init crash loop",
    pod: pod({ initContainers: [{ name: "i" }] }, { phase: "Pending", initContainerStatuses: [waiting("i", "CrashLoopBackOff", 2)] }),
    expect: "0/1 Init:CrashLoopBackOff 2",
  },
  {
    name: "a sidecar counts",
    pod: pod(
      { initContainers: [{ name: "s", restartPolicy: "Always" }] },
      {
        phase: "Running",
        conditions: [{ type: "Initialized", status: "True" }],
        initContainerStatuses: [{ ...running("s"), started: true }],
        containerStatuses: [running("a")],
      },
    ),
    expect: "2/2 Running 0",
  },
  {
    name: "terminating",
    pod: pod({}, { phase: "Running", containerStatuses: [running("a")] }, { deletionTimestamp: "x" }),
    expect: "1/1 Terminating 0",
  },
  {
    name: "deleted after it ended",
    pod: pod({}, { phase: "Succeeded", containerStatuses: [ended("a", 0, "Completed")] }, { deletionTimestamp: "x" }),
    expect: "0/1 Completed 0",
  },
];
for (const c of pods) {
  test(`pod: ${c.name}`, () => {
    const s = summarise(c.pod);
    assert.equal(`${s.ready}/${s.total} ${s.status} ${s.restarts}`, c.expect);
  });
}

test("a restarted pod says when", () => {
  const p = pod(
    { nodeName: "node1" },
    {
      phase: "Running",
      podIP: "10.0.0.1",
      containerStatuses: [running("a", { restartCount: 2, lastState: { terminated: { finishedAt: "2024-01-01T00:59:30Z" } } })],
    },
  );
  assert.deepEqual(toTable({ group: "", resource: "pods" }, [p], NOW).rows[0]?.cells, [
    "p",
    "1/1",
    "Running",
    "2 (30s ago)",
    "5m",
    "10.0.0.1",
    "node1",
    "<none>",
    "<none>",
  ]);
});

const rows: readonly { group: string; resource: string; object: JsonObject; expect: readonly unknown[] }[] = [
  {
    group: "",
    resource: "services",
    object: {
      metadata: meta("s"),
      spec: {
        type: "NodePort",
        clusterIP: "10.96.0.5",
        ports: [
          { port: 80, nodePort: 30080, protocol: "TCP" },
          { port: 53, protocol: "UDP" },
        ],
        selector: { app: "x" },
      },
    },
    expect: ["s", "NodePort", "10.96.0.5", "<none>", "80:30080/TCP,53/UDP", "5m", "app=x"],
  },
  {
    group: "apps",
    resource: "deployments",
    object: {
      metadata: meta("d"),
      spec: { replicas: 3, selector: { matchLabels: { app: "x" } }, template: { spec: { containers: [{ name: "a", image: "i:1" }] } } },
      status: { readyReplicas: 2, updatedReplicas: 3, availableReplicas: 2 },
    },
    expect: ["d", "2/3", 3, 2, "5m", "a", "i:1", "app=x"],
  },
  {
    group: "",
    resource: "nodes",
    object: {
      metadata: meta("n", { labels: { "node-role.kubernetes.io/control-plane": "" } }),
      spec: { unschedulable: true },
      status: {
        conditions: [{ type: "Ready", status: "True" }],
        addresses: [{ type: "InternalIP", address: "1.2.3.4" }],
        nodeInfo: { kubeletVersion: "v1" },
      },
    },
    expect: ["n", "Ready,SchedulingDisabled", "control-plane", "5m", "v1", "1.2.3.4", "<none>", "<unknown>", "<unknown>", "<unknown>"],
  },
  {
    group: "discovery.k8s.io",
    resource: "endpointslices",
    object: {
      metadata: meta("e"),
      addressType: "IPv4",
      ports: [{ port: 80 }],
      endpoints: ["a", "b", "c", "d"].map((a) => ({ addresses: [a] })),
    },
    expect: ["e", "IPv4", "80", "a,b,c + 1 more...", "5m"],
  },
  {
    group: "",
    resource: "events",
    object: {
      metadata: meta("ev"),
      type: "Normal",
      reason: "Started",
      message: "Started it\n",
      involvedObject: { kind: "Pod", name: "p" },
      source: { component: "kubelet", host: "n1" },
      count: 3,
      firstTimestamp: "2024-01-01T00:58:30Z",
      lastTimestamp: "2024-01-01T00:59:50Z",
    },
    expect: ["10s (x3 over 90s)", "Normal", "Started", "pod/p", "", "kubelet, n1", "Started it", "90s", 3, "ev"],
  },
  { group: "x.dev", resource: "things", object: { metadata: meta("t") }, expect: ["t", "5m"] },
];
for (const r of rows) {
  test(`row: ${r.resource}`, () => assert.deepEqual(toTable(r, [r.object], NOW).rows[0]?.cells, r.expect));
}

test("a CRD's columns", () => {
  const object = {
    metadata: meta("g"),
    spec: { gatewayClassName: "c", hosts: ["a", "b"], port: 80 },
    status: {
      conditions: [
        { type: "A", status: "False" },
        { type: "Programmed", status: "True" },
      ],
    },
  };
  const table = toTable({ group: "x", resource: "y" }, [object], NOW, [
    { name: "Class", type: "string", jsonPath: ".spec.gatewayClassName" },
    { name: "Programmed", type: "string", jsonPath: '.status.conditions[?(@.type=="Programmed")].status' },
    { name: "Hosts", type: "string", jsonPath: ".spec.hosts" },
    { name: "Port", type: "integer", jsonPath: ".spec.port", priority: 1 },
    { name: "Missing", type: "string", jsonPath: ".spec.missing" },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  ]);
  assert.deepEqual(table.rows[0]?.cells, ["g", "c", "True", '["a","b"]', 80, null, "5m"]);
  assert.deepEqual(
    table.columnDefinitions.map((c) => `${c.name}/${c.priority}`),
    ["Name/0", "Class/0", "Programmed/0", "Hosts/0", "Port/1", "Missing/0", "Age/0"],
  );
});

const durations: readonly (readonly [seconds: number, expect: string])[] = [
  [-5, "<invalid>"],
  [-1, "0s"],
  [0, "0s"],
  [119, "119s"],
  [120, "2m"],
  [599, "9m59s"],
  [600, "10m"],
  [3 * 3600, "3h"],
  [3 * 3600 + 60, "3h1m"],
  [8 * 3600, "8h"],
  [48 * 3600, "2d"],
  [49 * 3600, "2d1h"],
  [8 * 86400, "8d"],
  [800 * 86400, "2y70d"],
  [3000 * 86400, "8y"],
];
for (const [seconds, expect] of durations) test(`duration ${seconds}s`, () => assert.equal(humanDuration(seconds * 1000), expect));

const paths: readonly (readonly [path: string, expect: readonly unknown[]])[] = [
  [".a.b", [1]],
  ["{.a.b}", [1]],
  [".l[*].n", ["x", "y"]],
  [".l[1].n", ["y"]],
  [".l[-1].n", ["y"]],
  ['.l[?(@.n=="x")].v', [10]],
  [".l[?(@.v>10)].n", ["y"]],
  ["['a']['b']", [1]],
  [".m.k\\.io/x", [2]],
  [".missing", []],
];
const VALUE = {
  a: { b: 1 },
  l: [
    { n: "x", v: 10 },
    { n: "y", v: 11 },
  ],
  m: { "k.io/x": 2 },
};
for (const [path, expect] of paths) {
  test(`path ${path}`, () => {
    const steps = parseJsonPath(path);
    assert.ok(steps.ok);
    assert.deepEqual(findJsonPath(VALUE, steps.value), expect);
  });
}
test("a path that is none", () => assert.equal(parseJsonPath("a[").ok, false));
