// Are a pod's plan, environment, volumes and status those that Kubernetes documents?

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Container, Pod, PodSpec, Volume } from "@ambit/shared/kube/objects/pod.ts";
import fc from "fast-check";
import { commandLine, imageRepository, parseImageTable } from "../images.ts";
import { containerEnv, expand, type Lookups } from "./env.ts";
import { hostnameOf, hostsFile, resolvConf } from "./etc.ts";
import { fieldValue, quantity, resourceValue } from "./fields.ts";
import { planPod } from "./plan.ts";
import { afterAttempt, INITIAL, type ProbeState, timing } from "./probe.ts";
import { type ContainerRecord, NEW_CONTAINER, type PodRecord } from "./record.ts";
import { nextBackoffMs } from "./restart.ts";
import { podStatus, qosClass } from "./status.ts";
import { tokensOf, volumeFiles } from "./volumes.ts";

const POD: Pod = {
  metadata: { name: "web-1", namespace: "shop", uid: "u-1", labels: { app: "web", tier: 'a"b' }, annotations: { note: "x" } },
  spec: {
    serviceAccountName: "web",
    containers: [{ name: "c", resources: { limits: { cpu: "1500m", memory: "64Mi" }, requests: { cpu: "100m" } } }],
  },
};
const PLACE = { node: "node1", hostIPs: ["172.30.0.11"], podIPs: ["10.244.1.2", "fd00:244:1::2"] };
const CAPACITY = { cpu: 4, memoryBytes: 1024 ** 3 };

describe("downward API fields", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["metadata.name", "web-1"],
    ["metadata.labels['app']", "web"],
    ["metadata.labels['none']", ""],
    ["metadata.labels", 'app="web"\ntier="a\\"b"'],
    ["metadata.annotations['note']", "x"],
    ["spec.nodeName", "node1"],
    ["spec.serviceAccountName", "web"],
    ["status.hostIP", "172.30.0.11"],
    ["status.podIP", "10.244.1.2"],
    ["status.podIPs", "10.244.1.2,fd00:244:1::2"],
  ];
  for (const [path, value] of cases) test(path, () => assert.deepEqual(fieldValue(path, POD, PLACE), { ok: true, value }));
  test("an unknown field is an error", () => assert.equal(fieldValue("spec.containers", POD, PLACE).ok, false));

  const resources: readonly (readonly [string, string | undefined, string])[] = [
    ["limits.cpu", undefined, "2"],
    ["limits.cpu", "1m", "1500"],
    ["limits.memory", "1Mi", "64"],
    ["requests.cpu", "1m", "100"],
    ["requests.memory", "1", String(64 * 1024 ** 2)],
  ];
  for (const [resource, divisor, value] of resources)
    test(`${resource} by ${divisor ?? "1"}`, () => {
      const ref = { resource, ...(divisor === undefined ? {} : { divisor }) };
      assert.deepEqual(resourceValue(ref, POD, { container: "c", capacity: CAPACITY }), { ok: true, value });
    });
  test("quantities", () => {
    for (const [text, n] of [
      ["1", 1],
      ["500m", 0.5],
      ["1Ki", 1024],
      ["2G", 2e9],
      ["1e3", 1000],
      ["0.5Gi", 2 ** 29],
    ] as const)
      assert.deepEqual(quantity(text), { ok: true, value: n });
    for (const text of ["", "x", "1kb", "1 Gi", "--1"]) assert.equal(quantity(text).ok, false, text);
  });
});

const NOTHING: Lookups = { configMap: () => undefined, secret: () => undefined };
const OBJECTS: Lookups = {
  configMap: (name) => (name === "cm" ? { metadata: { name }, data: { a: "1", b: "2" }, binaryData: { bin: "AAE=" } } : undefined),
  secret: (name) => (name === "s" ? { metadata: { name }, data: { pw: Buffer.from("geheim").toString("base64") } } : undefined),
};

describe("environment", () => {
  const env = (container: Partial<Container>, lookups = OBJECTS) =>
    containerEnv({ name: "c", ...container }, { pod: POD, place: PLACE, capacity: CAPACITY, lookups, base: { PATH: "/bin", A: "base" } });

  const expansions: readonly (readonly [string, string])[] = [
    ["$(A) and $(B)", "1 and $(B)"],
    ["$$(A)", "$(A)"],
    ["$$$(A)", "$1"],
    ["$A $( A)", "$A $( A)"],
    ["$", "$"],
  ];
  for (const [text, want] of expansions) test(`${text} expands to ${want}`, () => assert.equal(expand(text, { A: "1" }), want));

  test("sources in order, later ones win, only earlier variables expand", () => {
    const r = env({
      envFrom: [
        { prefix: "P_", configMapRef: { name: "cm" } },
        { secretRef: { name: "s" } },
        { configMapRef: { name: "none", optional: true } },
      ],
      env: [
        { name: "X", value: "$(Y)-$(P_a)-$(A)" },
        { name: "Y", value: "y" },
        { name: "Z", value: "$(Y)" },
        { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
        { name: "CPU", valueFrom: { resourceFieldRef: { resource: "limits.cpu" } } },
        { name: "K", valueFrom: { configMapKeyRef: { name: "cm", key: "b" } } },
        { name: "S", valueFrom: { secretKeyRef: { name: "s", key: "pw" } } },
        { name: "O", valueFrom: { secretKeyRef: { name: "s", key: "no", optional: true } } },
      ],
    });
    assert.deepEqual(r, {
      ok: true,
      value: {
        PATH: "/bin",
        A: "base",
        P_a: "1",
        P_b: "2",
        pw: "geheim",
        X: "$(Y)-1-base",
        Y: "y",
        Z: "y",
        IP: "10.244.1.2",
        CPU: "2",
        K: "2",
        S: "geheim",
      },
    });
  });
  const refused: readonly (readonly [string, Partial<Container>, RegExp])[] = [
    ["a missing ConfigMap", { envFrom: [{ configMapRef: { name: "none" } }] }, /configmap "none" not found/],
    [
      "a missing key",
      { env: [{ name: "K", valueFrom: { configMapKeyRef: { name: "cm", key: "z" } } }] },
      /couldn't find key z in ConfigMap cm/,
    ],
    ["a missing Secret", { env: [{ name: "K", valueFrom: { secretKeyRef: { name: "none", key: "z" } } }] }, /secret "none" not found/],
  ];
  for (const [name, container, why] of refused)
    test(`${name} is a config error`, () => {
      const r = env(container);
      assert.match(r.ok ? "" : r.error, why);
    });
});

describe("volumes", () => {
  const files = (volume: Volume, lookups = OBJECTS, tokens = new Map<string, string>()) => {
    const r = volumeFiles(volume, { pod: POD, place: PLACE, capacity: CAPACITY, lookups, tokens });
    return r.ok ? Object.fromEntries([...r.value].map(([k, f]) => [k, `${f.mode.toString(8)} ${f.bytes.toString("latin1")}`])) : r.error;
  };
  test("a whole ConfigMap, binary keys too, with the default mode", () =>
    assert.deepEqual(files({ name: "v", configMap: { name: "cm", defaultMode: 0o400 } }), { a: "400 1", b: "400 2", bin: "400 \x00\x01" }));
  test("chosen keys under other paths", () =>
    assert.deepEqual(files({ name: "v", configMap: { name: "cm", items: [{ key: "a", path: "x/y", mode: 0o600 }] } }), { "x/y": "600 1" }));
  test("a projected volume joins its sources", () => {
    const volume: Volume = {
      name: "v",
      projected: {
        sources: [
          { serviceAccountToken: { path: "token", audience: "istio-ca", expirationSeconds: 43_200 } },
          { configMap: { name: "cm", items: [{ key: "a", path: "a" }] } },
          { secret: { name: "s" } },
          { downwardAPI: { items: [{ path: "ns", fieldRef: { fieldPath: "metadata.namespace" } }] } },
        ],
      },
    };
    assert.deepEqual(tokensOf(volume), [{ path: "token", audience: "istio-ca", expirationSeconds: 43_200 }]);
    assert.deepEqual(files(volume, OBJECTS, new Map([["istio-ca 43200", "jwt"]])), {
      token: "644 jwt",
      a: "644 1",
      pw: "644 geheim",
      ns: "644 shop",
    });
    assert.match(String(files(volume)), /token is not there yet/);
  });
  test("what is missing is named, unless optional", () => {
    assert.match(String(files({ name: "v", secret: { secretName: "cm" } })), /volume "v": secret "cm" not found/);
    assert.match(String(files({ name: "v", configMap: { name: "cm", items: [{ key: "z", path: "z" }] } })), /non-existent key: z/);
    assert.deepEqual(files({ name: "v", configMap: { name: "no", optional: true } }, NOTHING), {});
  });
  test("no path leaves the volume", () => {
    for (const path of ["../x", "/x", "a/../../x", "..data/x", "a//b"])
      assert.match(String(files({ name: "v", configMap: { name: "cm", items: [{ key: "a", path }] } })), /leaves the volume/, path);
  });
});

describe("/etc", () => {
  const dns = {
    clusterDns: ["10.96.0.10"],
    clusterDomain: "cluster.local",
    hostResolvConf: "# c\nnameserver 192.0.2.53\nsearch lan\noptions edns0\n",
  };
  const of = (spec: Partial<PodSpec>): string => resolvConf({ ...POD, spec: { ...POD.spec, ...spec } }, dns);
  const cluster = "nameserver 10.96.0.10\nsearch shop.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n";
  const host = "nameserver 192.0.2.53\nsearch lan\noptions edns0\n";
  const cases: readonly (readonly [string, Partial<PodSpec>, string])[] = [
    ["the default", {}, cluster],
    ["ClusterFirst on hostNetwork", { hostNetwork: true, dnsPolicy: "ClusterFirst" }, host],
    ["ClusterFirstWithHostNet", { hostNetwork: true, dnsPolicy: "ClusterFirstWithHostNet" }, cluster],
    ["Default", { dnsPolicy: "Default" }, host],
    [
      "None with dnsConfig",
      {
        dnsPolicy: "None",
        dnsConfig: { nameservers: ["192.0.2.1"], searches: ["a.b"], options: [{ name: "ndots", value: "2" }, { name: "rotate" }] },
      },
      "nameserver 192.0.2.1\nsearch a.b\noptions ndots:2 rotate\n",
    ],
    ["dnsConfig overrides an option", { dnsConfig: { options: [{ name: "ndots", value: "1" }] } }, cluster.replace("ndots:5", "ndots:1")],
  ];
  for (const [name, spec, want] of cases) test(name, () => assert.equal(of(spec), want));
  test("host name and hosts", () => {
    assert.equal(hostnameOf(POD, "node1"), "web-1");
    assert.equal(hostnameOf({ ...POD, spec: { ...POD.spec, hostNetwork: true } }, "node1"), "node1");
    assert.equal(hostnameOf({ ...POD, metadata: { ...POD.metadata, name: `${"x".repeat(62)}-y` } }, "n"), "x".repeat(62));
    const pod = { ...POD, spec: { ...POD.spec, subdomain: "sub", hostAliases: [{ ip: "192.0.2.9", hostnames: ["alias"] }] } };
    const hosts = hostsFile(pod, { node: "node1", podIPs: ["10.244.1.2"], clusterDomain: "cluster.local" });
    assert.ok(hosts.includes("10.244.1.2\tweb-1.sub.shop.svc.cluster.local\tweb-1\n"));
    assert.ok(hosts.endsWith("192.0.2.9\talias\n"));
  });
});

describe("probes", () => {
  const run = (outcomes: string, t = { successThreshold: 1, failureThreshold: 3 }): ProbeState["result"][] => {
    let state = INITIAL;
    return [...outcomes].map((o) => {
      state = afterAttempt(state, o === "s" ? { ok: true } : { ok: false, detail: "" }, t);
      return state.result;
    });
  };
  const short = (r: ProbeState["result"][]): string => r.map((x) => x[0]).join("");
  for (const [outcomes, want] of [
    ["s", "s"],
    ["ff", "uu"],
    ["fff", "uuf"],
    ["sffsf", "sssss"],
    ["sfffs", "sssfs"],
  ] as const)
    test(`${outcomes} → ${want}`, () => assert.equal(short(run(outcomes)), want));
  test("two successes wanted", () => assert.equal(short(run("sfss", { successThreshold: 2, failureThreshold: 1 })), "uffs"));
  test("defaults", () =>
    assert.deepEqual(timing({}), { initialDelayMs: 0, periodMs: 10_000, timeoutMs: 1_000, successThreshold: 1, failureThreshold: 3 }));
});

test("restarts: at once, then 10 s doubling to 5 min, forgiven after ten good minutes", () => {
  let ms: number | undefined;
  const seen = Array.from({ length: 8 }, () => (ms = nextBackoffMs(ms, 1_000)));
  assert.deepEqual(seen, [0, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
  assert.equal(nextBackoffMs(300_000, 600_000), 0);
});

const waiting = NEW_CONTAINER;
const running = (more: Partial<ContainerRecord> = {}): ContainerRecord => ({
  ...NEW_CONTAINER,
  ran: true,
  started: true,
  ready: true,
  state: { t: "running", id: { pid: 1, startTicks: "1" }, startedAt: 0 },
  ...more,
});
const ended = (exitCode: number, more: Partial<ContainerRecord> = {}): ContainerRecord => ({
  ...NEW_CONTAINER,
  ran: true,
  backoffMs: 0,
  state: {
    t: "terminated",
    exitCode,
    signal: undefined,
    reason: exitCode === 0 ? "Completed" : "Error",
    message: undefined,
    startedAt: 0,
    finishedAt: 1_000,
  },
  ...more,
});
const record = (containers: PodRecord["containers"]): PodRecord => ({
  uid: "u-1",
  namespace: "shop",
  name: "web-1",
  number: 2,
  startTime: 0,
  graceSeconds: 30,
  containers,
});
const spec = (restartPolicy: string, init: readonly Container[] = []): PodSpec => ({
  restartPolicy,
  containers: [{ name: "a" }, { name: "b" }],
  ...(init.length === 0 ? {} : { initContainers: init }),
});

describe("what to do next", () => {
  const i = [{ name: "i1" }, { name: "i2" }];
  const sidecar = [{ name: "s", restartPolicy: "Always" }, { name: "i1" }];
  const run = (start: string[], initialized = true, wakeAt?: number) => ({ kind: "run", start, wakeAt, initialized });
  const cases: readonly (readonly [string, PodSpec, PodRecord["containers"], unknown])[] = [
    ["a new pod starts all", spec("Always"), {}, run(["a", "b"])],
    ["running: nothing", spec("Always"), { a: running(), b: running() }, run([])],
    ["one init at a time", spec("Always", i), {}, run(["i1"], false)],
    ["the next init after success", spec("Always", i), { i1: ended(0) }, run(["i2"], false)],
    ["a failed init again", spec("Always", i), { i1: ended(1) }, run(["i1"], false)],
    ["a failed init ends a Never pod", spec("Never", i), { i1: ended(1) }, { kind: "ended", phase: "Failed", stop: [] }],
    ["apps after all inits", spec("Always", i), { i1: ended(0), i2: ended(0) }, run(["a", "b"])],
    ["inits are not repeated once apps ran", spec("Always", i), { a: running(), b: ended(0) }, run(["b"])],
    ["an app in back-off waits", spec("Always"), { a: running(), b: ended(1, { backoffMs: 20_000 }) }, run([], true, 21_000)],
    ["OnFailure restarts a failure only", spec("OnFailure"), { a: ended(0), b: ended(1) }, run(["b"])],
    ["all done", spec("OnFailure"), { a: ended(0), b: ended(0) }, { kind: "ended", phase: "Succeeded", stop: [] }],
    ["Never with a failure", spec("Never"), { a: ended(0), b: ended(2) }, { kind: "ended", phase: "Failed", stop: [] }],
    ["Never, one still running", spec("Never"), { a: ended(0), b: running() }, run([])],
    ["a sidecar first", spec("Always", sidecar), {}, run(["s"], false)],
    ["not past a sidecar that has not started", spec("Always", sidecar), { s: running({ started: false }) }, run([], false)],
    ["past a started sidecar", spec("Always", sidecar), { s: running() }, run(["i1"], false)],
    [
      "a dead sidecar again, also beside running apps",
      spec("Always", sidecar),
      { s: ended(0), i1: ended(0), a: running(), b: running() },
      run(["s"]),
    ],
    [
      "sidecars are stopped at the end",
      spec("Never", sidecar),
      { s: running(), i1: ended(0), a: ended(0), b: ended(0) },
      { kind: "ended", phase: "Succeeded", stop: ["s"] },
    ],
    [
      "a refused container is tried again",
      spec("Always"),
      { a: running(), b: { ...waiting, state: { t: "waiting", reason: "ErrImagePull", message: "x" } } },
      run(["b"]),
    ],
  ];
  for (const [name, s, containers, want] of cases) test(name, () => assert.deepEqual(planPod(s, record(containers), 1_000), want));

  test("never starts what runs, never ends while something of the pod may run again", () => {
    const any = fc.constantFrom(waiting, running(), running({ started: false }), ended(0), ended(1), ended(1, { backoffMs: 10_000 }));
    fc.assert(
      fc.property(fc.constantFrom("Always", "OnFailure", "Never"), any, any, any, (policy, x, a, b) => {
        const s = spec(policy, [{ name: "x" }]);
        const r = record({ x, a, b });
        const plan = planPod(s, r, 5_000);
        if (plan.kind === "run") for (const name of plan.start) assert.notEqual(r.containers[name]?.state.t, "running");
        else assert.notEqual(policy, "Always");
      }),
    );
  });
});

describe("status", () => {
  const status = (s: PodSpec, containers: PodRecord["containers"], more: { terminating?: boolean; pod?: Partial<Pod> } = {}) => {
    const pod: Pod = { ...POD, ...more.pod, spec: s };
    const r = record(containers);
    const out = podStatus(pod, {
      record: r,
      plan: planPod(s, r, 5_000),
      podIPs: PLACE.podIPs,
      hostIPs: PLACE.hostIPs,
      now: 5_000,
      terminating: more.terminating === true,
    });
    return { ...out, is: (type: string) => out.conditions?.find((c) => c.type === type)?.status };
  };
  const cases: readonly (readonly [string, PodSpec, PodRecord["containers"], string, string])[] = [
    ["new", spec("Always"), {}, "Pending", "False"],
    ["running and ready", spec("Always"), { a: running(), b: running() }, "Running", "True"],
    ["one not ready", spec("Always"), { a: running(), b: running({ ready: false }) }, "Running", "False"],
    ["one not started", spec("Always"), { a: running(), b: running({ started: false }) }, "Running", "False"],
    ["initializing", spec("Always", [{ name: "i" }]), { i: running() }, "Pending", "False"],
    ["crashed", spec("Always"), { a: running(), b: ended(1, { backoffMs: 20_000 }) }, "Running", "False"],
    ["succeeded", spec("Never"), { a: ended(0), b: ended(0) }, "Succeeded", "False"],
    ["failed", spec("Never"), { a: ended(0), b: ended(1) }, "Failed", "False"],
  ];
  for (const [name, s, containers, phase, ready] of cases)
    test(name, () => {
      const out = status(s, containers);
      assert.deepEqual([out.phase, out.is("Ready")], [phase, ready]);
    });
  test("a crashed container waits in CrashLoopBackOff and shows what it ended with", () => {
    const b = status(spec("Always"), { a: running(), b: ended(3, { backoffMs: 20_000, restarts: 2 }) }).containerStatuses?.[1];
    assert.equal(b?.state?.waiting?.reason, "CrashLoopBackOff");
    assert.match(b?.state?.waiting?.message ?? "", /^back-off 20s restarting failed container=b pod=web-1_shop\(u-1\)$/);
    assert.equal(b?.lastState?.terminated?.exitCode, 3);
    assert.equal(b?.restartCount, 2);
  });
  test("readiness gates hold Ready back, and foreign conditions and old transition times are kept", () => {
    const held = [
      { type: "gate", status: "False" as const },
      { type: "Initialized", status: "True" as const, lastTransitionTime: "2020-01-01T00:00:00Z" },
    ];
    const out = status(
      { ...spec("Always"), readinessGates: [{ conditionType: "gate" }] },
      { a: running(), b: running() },
      { pod: { status: { conditions: held } } },
    );
    assert.equal(out.is("ContainersReady"), "True");
    assert.equal(out.is("Ready"), "False");
    assert.deepEqual(
      out.conditions?.find((c) => c.type === "gate"),
      held[0],
    );
    assert.equal(out.conditions?.find((c) => c.type === "Initialized")?.lastTransitionTime, "2020-01-01T00:00:00Z");
  });
  test("addresses and QoS", () => {
    const out = status(spec("Always"), {});
    assert.deepEqual([out.podIP, out.podIPs, out.hostIP], ["10.244.1.2", [{ ip: "10.244.1.2" }, { ip: "fd00:244:1::2" }], "172.30.0.11"]);
    assert.equal(qosClass(POD), "Burstable");
    assert.equal(qosClass({ ...POD, spec: spec("Always") }), "BestEffort");
    assert.equal(
      qosClass({ ...POD, spec: { containers: [{ name: "a", resources: { limits: { cpu: "1", memory: "1Gi" } } }] } }),
      "Guaranteed",
    );
  });
});

describe("images", () => {
  for (const [image, repository] of [
    ["ambit/ztunnel", "ambit/ztunnel"],
    ["ambit/ztunnel:1.2", "ambit/ztunnel"],
    ["ghcr.io/ambit/ztunnel:1.2@sha256:ab", "ambit/ztunnel"],
    ["localhost:5000/ambit/app-web:x", "ambit/app-web"],
    ["localhost/a", "a"],
    ["nginx", "nginx"],
  ] as const)
    test(image, () => assert.equal(imageRepository(image), repository));
  const table = { "ambit/ztunnel": ["node", "z.ts"], "ambit/app-*": ["node", "apps/{*}.ts"] };
  test("entrypoint, arguments, command", () => {
    assert.deepEqual(commandLine({ image: "ambit/ztunnel:1", args: ["proxy"] }, table), { ok: true, value: ["node", "z.ts", "proxy"] });
    assert.deepEqual(commandLine({ image: "x.io/ambit/app-web" }, table), { ok: true, value: ["node", "apps/web.ts"] });
    assert.deepEqual(commandLine({ image: "nginx", command: ["sh"], args: ["-c"] }, table), { ok: true, value: ["sh", "-c"] });
  });
  test("an unknown image without a command is refused in a sentence", () => {
    for (const image of ["nginx", "ambit/app-", "ambit/ztunnelx"]) {
      const r = commandLine({ image }, table);
      assert.match(r.ok ? "" : r.error, /images are not pulled here/, image);
    }
  });
  test("a table file is taken whole or not at all", () => {
    assert.equal(parseImageTable('{"a":["b"]}').ok, true);
    for (const text of ["[]", "{", '{"a":"b"}', '{"a":[]}', '{"a":[1]}']) assert.equal(parseImageTable(text).ok, false, text);
  });
});
