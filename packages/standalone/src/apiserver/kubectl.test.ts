import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { type ApiServer, build } from "./app.ts";

// The real kubectl against a real server, in one process on a port of the kernel's choice. What needs controllers (rollout,
// garbage collection, namespace deletion) is tested where these run.

const CRDS = fileURLToPath(new URL("../../../../deploy/crds", import.meta.url));
const DEADLINE_MS = 20_000;

type Output = { readonly code: number; readonly stdout: string; readonly stderr: string };

let dir = "";
let server: ApiServer | undefined;

const environment = () => ({ PATH: process.env.PATH ?? "", HOME: dir, KUBECONFIG: join(dir, "kubeconfig") });

const kubectl = (args: readonly string[], input = ""): Promise<Output> =>
  new Promise((resolve, reject) => {
    const child = execFile(
      "kubectl",
      [...args],
      { env: environment(), timeout: DEADLINE_MS, maxBuffer: 1 << 25 },
      (error, stdout, stderr) => {
        if (error !== null && typeof error.code !== "number") reject(error);
        else resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      },
    );
    child.stdin?.end(input);
  });

/** Runs and insists on success; the output without its last newline. */
const run = async (args: readonly string[], object?: unknown): Promise<string> => {
  const { code, stdout, stderr } = await kubectl(args, object === undefined ? "" : JSON.stringify(object));
  assert.equal(code, 0, `kubectl ${args.join(" ")}: ${stderr}`);
  return stdout.trimEnd();
};

const refused = async (args: readonly string[], object?: unknown): Promise<string> => {
  const { code, stdout, stderr } = await kubectl(args, object === undefined ? "" : JSON.stringify(object));
  assert.notEqual(code, 0, `kubectl ${args.join(" ")} succeeded: ${stdout}`);
  return stderr.trimEnd();
};

const json = async (...args: readonly string[]) => JSON.parse(await run([...args, "-o", "json"]));

before(async () => {
  dir = mkdtempSync(join(tmpdir(), "ambit-kubectl-"));
  const config = { dataDir: dir, address: "127.0.0.1", port: 0, fabric: undefined, nodes: 0, history: 1000, bookmarkMs: 1000 };
  server = await build(config, { world: realWorld(), log: () => {} });
});

after(async () => {
  await server?.[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

const deployment = (name: string, change: { replicas?: number; image?: string; value?: string } = {}) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name, labels: { app: name } },
  spec: {
    replicas: change.replicas ?? 2,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: {
        containers: [
          {
            name: "app",
            image: change.image ?? "ambit/app-web:1",
            ports: [{ containerPort: 8080 }],
            env: [{ name: "A", value: change.value ?? "1" }],
          },
        ],
      },
    },
  },
});

describe("kubectl apply", () => {
  test("creates, leaves unchanged, changes; what others set stays", async () => {
    assert.equal(await run(["apply", "-f", "-"], deployment("web")), "deployment.apps/web created");
    assert.equal(await run(["apply", "-f", "-"], deployment("web")), "deployment.apps/web unchanged");
    await run(["patch", "deployment", "web", "-p", '{"spec":{"template":{"spec":{"containers":[{"name":"sidecar","image":"s"}]}}}}']);
    assert.equal(await run(["apply", "-f", "-"], deployment("web", { value: "2", replicas: 3 })), "deployment.apps/web configured");
    const { spec } = await json("get", "deployment", "web");
    assert.equal(spec.replicas, 3);
    const env = new Map(spec.template.spec.containers.map((c: { name: string; env?: unknown }) => [c.name, c.env]));
    assert.deepEqual(
      env,
      new Map<string, unknown>([
        ["app", [{ name: "A", value: "2" }]],
        ["sidecar", undefined],
      ]),
    );
  });

  test("a field left out of the next apply goes", async () => {
    const labelled = { ...deployment("trim"), metadata: { name: "trim", labels: { app: "trim", gone: "soon" } } };
    await run(["apply", "-f", "-"], labelled);
    await run(["apply", "-f", "-"], deployment("trim"));
    assert.deepEqual((await json("get", "deployment", "trim")).metadata.labels, { app: "trim" });
  });

  test("a dry run on the server changes nothing, and diff shows what would", async () => {
    await run(["apply", "-f", "-"], deployment("dry"));
    assert.match(await run(["apply", "--dry-run=server", "-f", "-"], deployment("dry", { replicas: 9 })), /configured \(server dry run\)/);
    assert.equal((await json("get", "deployment", "dry")).spec.replicas, 2);
    const diff = await kubectl(["diff", "-f", "-"], JSON.stringify(deployment("dry", { replicas: 9 })));
    assert.equal(diff.code, 1);
    assert.match(diff.stdout, /- {2}replicas: 2\n\+ {2}replicas: 9/);
  });

  test("unknown fields and wrong types are refused with their paths", async () => {
    const wrong = { ...deployment("bad"), spec: { ...deployment("bad").spec, replcas: 1 } };
    assert.match(await refused(["apply", "-f", "-"], wrong), /strict decoding error: unknown field "spec.replcas"/);
    const typed = { ...deployment("bad"), spec: { ...deployment("bad").spec, replicas: "two" } };
    assert.match(
      await refused(["apply", "--validate=false", "-f", "-"], typed),
      /spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer/,
    );
    assert.match(await refused(["apply", "--validate=false", "-f", "-"], { ...typed, spec: {} }), /spec.selector: Required value/);
  });
});

describe("kubectl apply --server-side", () => {
  test("owners, conflicts in Kubernetes' words, force", async () => {
    assert.equal(await run(["apply", "--server-side", "-f", "-"], deployment("ssa")), "deployment.apps/ssa serverside-applied");
    const before = await json("get", "deployment", "ssa", "--show-managed-fields");
    assert.deepEqual(
      before.metadata.managedFields.map((m: { manager: string; operation: string }) => [m.manager, m.operation]),
      [["kubectl", "Apply"]],
    );
    await run(["apply", "--server-side", "-f", "-"], deployment("ssa"));
    assert.equal((await json("get", "deployment", "ssa")).metadata.resourceVersion, before.metadata.resourceVersion);
    const conflict = await refused(["apply", "--server-side", "--field-manager=other", "-f", "-"], deployment("ssa", { replicas: 5 }));
    assert.match(conflict, /Apply failed with 1 conflict: conflict with "kubectl": \.spec\.replicas/);
    await run(["apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-"], deployment("ssa", { replicas: 5 }));
    assert.equal((await json("get", "deployment", "ssa")).spec.replicas, 5);
  });

  test("takes over what kubectl apply made, without a conflict, and drops what it no longer names", async () => {
    const labelled = { ...deployment("migrate"), metadata: { name: "migrate", labels: { app: "migrate", old: "1" } } };
    await run(["apply", "-f", "-"], labelled);
    await run(["apply", "--server-side", "-f", "-"], deployment("migrate", { replicas: 4 }));
    const { metadata, spec } = await json("get", "deployment", "migrate");
    assert.deepEqual([spec.replicas, metadata.labels], [4, { app: "migrate" }]);
  });
});

describe("kubectl's small writes", () => {
  test("label, annotate, patch of three kinds, scale, set image, replace", async () => {
    await run(["apply", "-f", "-"], deployment("small"));
    await run(["label", "deployment", "small", "tier=front"]);
    await run(["annotate", "deployment", "small", "note=x"]);
    await run(["label", "deployment", "small", "tier-"]);
    await run(["patch", "deployment", "small", "-p", '{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"i:2"}]}}}}']);
    await run(["patch", "deployment", "small", "--type=merge", "-p", '{"metadata":{"annotations":{"note":null,"m":"1"}}}']);
    await run([
      "patch",
      "deployment",
      "small",
      "--type=json",
      "-p",
      '[{"op":"test","path":"/spec/replicas","value":2},{"op":"replace","path":"/spec/replicas","value":4}]',
    ]);
    const first = await json("get", "deployment", "small");
    assert.deepEqual(
      [first.spec.replicas, first.spec.template.spec.containers[0].image, first.metadata.labels],
      [4, "i:2", { app: "small" }],
    );
    assert.equal(first.metadata.annotations.note, undefined);
    assert.equal(first.metadata.annotations.m, "1");
    assert.match(
      await refused(["patch", "deployment", "small", "--type=json", "-p", '[{"op":"test","path":"/spec/replicas","value":2}]']),
      /testing value \/spec\/replicas failed/,
    );
    await run(["scale", "deployment", "small", "--replicas=7"]);
    await run(["set", "image", "deployment/small", "app=i:3"]);
    const second = await json("get", "deployment", "small");
    assert.deepEqual([second.spec.replicas, second.spec.template.spec.containers[0].image], [7, "i:3"]);
    const stale = { ...second, metadata: { ...second.metadata, resourceVersion: "1" } };
    assert.match(
      await refused(["replace", "-f", "-"], stale),
      /the object has been modified; please apply your changes to the latest version/,
    );
    await run(["replace", "-f", "-"], { ...second, spec: { ...second.spec, replicas: 1 } });
    assert.equal(await run(["get", "deployment", "small", "-o", "jsonpath={.spec.replicas}"]), "1");
  });

  test("create, generateName, secrets, tokens, already exists, not found", async () => {
    await run(["create", "namespace", "made"]);
    await run(["-n", "made", "create", "secret", "generic", "s", "--from-literal=a=b"]);
    assert.equal(await run(["-n", "made", "get", "secret", "s", "-o", "jsonpath={.data.a}"]), "Yg==");
    await run(["-n", "made", "create", "serviceaccount", "bob"]);
    assert.equal((await run(["-n", "made", "create", "token", "bob"])).split(".").length, 3);
    assert.match(
      await run(["-n", "made", "create", "-f", "-"], { apiVersion: "v1", kind: "ConfigMap", metadata: { generateName: "g-" } }),
      /^configmap\/g-\w{5} created$/,
    );
    assert.match(await refused(["create", "namespace", "made"]), /namespaces "made" already exists/);
    assert.match(await refused(["-n", "made", "get", "configmap", "nothing"]), /configmaps "nothing" not found/);
    assert.equal(await run(["auth", "can-i", "list", "pods"]), "yes");
    assert.match(await refused(["auth", "can-i", "list", "pods", "--as=system:serviceaccount:made:bob"]), /^$/);
  });
});

describe("kubectl reads", () => {
  test("wide tables, selectors, jsonpath, custom columns", async () => {
    await run(["create", "namespace", "reads"]);
    await run(["-n", "reads", "create", "serviceaccount", "default"]);
    for (const [name, tier] of [
      ["a", "front"],
      ["b", "back"],
    ] as const) {
      await run(["-n", "reads", "run", name, "--image=ambit/app-web", "--port=80", `--labels=tier=${tier}`]);
    }
    await run(["-n", "reads", "expose", "pod", "a", "--port=80", "--target-port=8080"]);
    const wide = await run(["-n", "reads", "get", "pods", "-o", "wide"]);
    assert.match(
      wide,
      /^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES\na +0\/1 +Pending +0 +\d+s +<none> +<none> +<none> +<none>\nb /,
    );
    assert.equal(await run(["-n", "reads", "get", "pods", "-l", "tier in (front)", "-o", "name"]), "pod/a");
    assert.equal(await run(["-n", "reads", "get", "pods", "--field-selector", "metadata.name=b", "-o", "name"]), "pod/b");
    assert.match(
      await run(["-n", "reads", "get", "services", "-o", "wide"]),
      /^NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE +SELECTOR\na +ClusterIP +10\.96\.\d+\.\d+ +<none> +80\/TCP +\d+s +tier=front$/,
    );
    assert.match(
      await run(["-n", "reads", "get", "pods", "-o", "custom-columns=N:.metadata.name", "--sort-by=.metadata.labels.tier"]),
      /^N\nb\na$/,
    );
    assert.match(await run(["-n", "reads", "describe", "pod", "a"]), /Containers:\n {2}a:\n/);
    assert.match(await run(["get", "namespaces", "--show-labels"]), /reads +Active +\d+s +kubernetes.io\/metadata.name=reads/);
  });

  test("explain tells built-in fields and enums", async () => {
    const text = await run(["explain", "deployment.spec.strategy"]);
    assert.match(text, /FIELD: strategy <DeploymentStrategy>/);
    assert.match(text, /enum: Recreate, RollingUpdate/);
    assert.match(await run(["explain", "pods.spec.containers.ports.containerPort"]), /FIELD: containerPort <integer>/);
  });

  test("get -w sees a change, wait sees a condition and a deletion", async () => {
    await run(["apply", "-f", "-"], deployment("seen"));
    const watch = spawn("kubectl", ["get", "deployment", "seen", "--watch-only", "-o", "name"], {
      env: environment(),
      stdio: ["ignore", "pipe", "inherit"],
    });
    const deadline = AbortSignal.timeout(DEADLINE_MS);
    try {
      const line = once(createInterface(watch.stdout), "line", { signal: deadline });
      // The watch starts at its own moment: each write is an event for it if it has begun.
      let writes = 0;
      const writer = (async () => {
        while (!deadline.aborted && watch.exitCode === null && writes < 40)
          await run(["annotate", "--overwrite", "deployment", "seen", `n=${writes++}`]);
      })();
      const [first] = await line;
      assert.equal(first, "deployment.apps/seen");
      writes = 40;
      await writer;
    } finally {
      watch.kill();
      if (watch.exitCode === null && watch.signalCode === null) await once(watch, "exit");
    }
    const waiting = run(["wait", "deployment/seen", "--for=jsonpath={.spec.replicas}=6", "--timeout=15s"]);
    await run(["scale", "deployment", "seen", "--replicas=6"]);
    assert.equal(await waiting, "deployment.apps/seen condition met");
    const deleted = run(["wait", "deployment/seen", "--for=delete", "--timeout=15s"]);
    await run(["delete", "deployment", "seen"]);
    await deleted;
    assert.match(await refused(["get", "deployment", "seen"]), /deployments.apps "seen" not found/);
  });

  test("deletion waits for finalizers", async () => {
    const held = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "held", finalizers: ["test.ambit.dev/hold"] } };
    await run(["apply", "-f", "-"], held);
    const deletion = run(["delete", "configmap", "held"]);
    await run(["wait", "configmap/held", "--for=jsonpath={.metadata.deletionTimestamp}", "--timeout=15s"]);
    await run(["patch", "configmap", "held", "--type=merge", "-p", '{"metadata":{"finalizers":null}}']);
    assert.equal(await deletion, 'configmap "held" deleted');
  });
});

describe("kubectl and custom resources", () => {
  const route = (weight: number) => ({
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { name: "reviews" },
    spec: { parentRefs: [{ group: "", kind: "Service", name: "reviews" }], rules: [{ backendRefs: [{ name: "v1", port: 80, weight }] }] },
  });

  test("apply -k deploy/crds, twice; then their objects with defaults, columns and explain", async () => {
    assert.match(await run(["apply", "-k", CRDS]), /httproutes.gateway.networking.k8s.io created/);
    assert.doesNotMatch(await run(["apply", "-k", CRDS]), /configured|created/);
    await run(["wait", "--for=condition=Established", "crd", "--all", "--timeout=15s"]);
    await run(["apply", "-f", "-"], route(90));
    const { spec } = await json("get", "httproute", "reviews");
    assert.deepEqual(spec.rules[0].matches, [{ path: { type: "PathPrefix", value: "/" } }]);
    await run(["apply", "--server-side", "--force-conflicts", "-f", "-"], route(10));
    assert.equal(
      await run([
        "get",
        "httproutes.v1beta1.gateway.networking.k8s.io",
        "reviews",
        "-o",
        "jsonpath={.apiVersion} {.spec.rules[0].backendRefs[0].weight}",
      ]),
      "gateway.networking.k8s.io/v1beta1 10",
    );
    const policy = { apiVersion: "security.istio.io/v1", kind: "AuthorizationPolicy", metadata: { name: "p" }, spec: { action: "DENY" } };
    await run(["apply", "-f", "-"], policy);
    assert.match(await run(["get", "ap"]), /^NAME +ACTION +AGE\np +DENY +\d+s$/);
    assert.match(await run(["explain", "httproute.spec.rules.matches.path"]), /enum: Exact, PathPrefix, RegularExpression/);
  });

  test("objects that do not fit are refused with causes", async () => {
    const bad = { ...route(1), spec: { rules: [{ backendRefs: [{ name: "v1", port: 70_000 }, {}] }] } };
    const text = await refused(["apply", "-f", "-"], bad);
    assert.match(
      text,
      /spec.rules\[0\].backendRefs\[0\].port: Invalid value: 70000: spec.rules\[0\].backendRefs\[0\].port in body should be less than or equal to 65535/,
    );
    assert.match(text, /spec.rules\[0\].backendRefs\[1\].name: Required value/);
    assert.match(await refused(["patch", "httproute", "reviews", "-p", "{}"]), /strategic-merge-patch\+json is not supported/);
  });

  test("a CRD that is not structural is refused; one that goes takes its objects along", async () => {
    const crd = (properties: object) => ({
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: "things.example.com" },
      spec: {
        group: "example.com",
        scope: "Namespaced",
        names: { plural: "things", kind: "Thing" },
        versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object", properties } } }],
      },
    });
    assert.match(
      await refused(["create", "-f", "-"], crd({ spec: {} })),
      /properties\[spec\].type: Required value: must not be empty for specified object fields/,
    );
    await run(["create", "-f", "-"], crd({ spec: { type: "object", "x-kubernetes-validations": [{ rule: "true" }] } }));
    await run(["wait", "--for=condition=Established", "crd/things.example.com", "--timeout=15s"]);
    assert.deepEqual(
      (await json("get", "crd", "things.example.com")).spec.versions[0].schema.openAPIV3Schema.properties.spec["x-kubernetes-validations"],
      [{ rule: "true" }],
    );
    await run(["create", "-f", "-"], { apiVersion: "example.com/v1", kind: "Thing", metadata: { name: "t" }, spec: {} });
    await run(["delete", "crd", "things.example.com", "--timeout=15s"]);
    assert.match(await refused(["get", "things"]), /doesn't have a resource type "things"|could not find the requested resource/);
  });
});
