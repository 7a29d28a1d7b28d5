import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { deployment, type KubectlRig, openRig } from "./kubectl-rig.ts";

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
    const diff = await open().kubectl(["diff", "-f", "-"], deployment("dry", { replicas: 9 }));
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
