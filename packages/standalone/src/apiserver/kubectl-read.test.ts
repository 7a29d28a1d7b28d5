import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { DEADLINE_MS, deployment, type KubectlRig, openRig } from "./kubectl-rig.ts";

// What needs controllers (rollout, garbage collection, namespace deletion) is tested where these run.

let rig: KubectlRig | undefined;

before(async () => {
  rig = await openRig(process.env.PATH ?? "");
});

after(async () => {
  await rig?.[Symbol.asyncDispose]();
});

const open = (): KubectlRig => rig ?? assert.fail("the server has not started");
const run: KubectlRig["run"] = (args, object) => open().run(args, object);
const refused: KubectlRig["refused"] = (args, object) => open().refused(args, object);
const json: KubectlRig["json"] = (...args) => open().json(...args);

const CRDS = fileURLToPath(new URL("../../../../deploy/crds", import.meta.url));

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
      env: open().environment,
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
