// Does a whole API server answer as Kubernetes does? (over TLS, in process)

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { at, list, obj, objects, str } from "./model/object.ts";
import { startServer, type TestServer } from "./testing/client.ts";

const CM = "/api/v1/namespaces/default/configmaps";
const configMap = (name: string, data: { [k: string]: string } = {}, labels: { [k: string]: string } = {}) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, labels },
  data,
});
const rvOf = (o: unknown): string => str(at(o, "metadata", "resourceVersion")) ?? "";

describe("API server", () => {
  let server: TestServer;
  before(async () => {
    server = await startServer({ bookmarkMs: 50 });
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
  });
  const call: TestServer["admin"]["call"] = (...args) => server.admin.call(...args);

  test("create, get, update with optimistic concurrency, delete", async () => {
    const made = await call("POST", CM, { body: configMap("a", { k: "1" }) });
    assert.equal(made.code, 201);
    assert.ok(str(at(made.body, "metadata", "uid")));
    assert.equal((await call("POST", CM, { body: configMap("a") })).body.message, 'configmaps "a" already exists');
    const changed = { ...made.body, data: { k: "2" } };
    const updated = await call("PUT", `${CM}/a`, { body: changed });
    assert.equal(updated.code, 200);
    assert.ok(Number(rvOf(updated.body)) > Number(rvOf(made.body)));
    const stale = await call("PUT", `${CM}/a`, { body: { ...made.body, data: { k: "3" } } });
    assert.equal(stale.code, 409);
    assert.equal(stale.body.reason, "Conflict");
    assert.match(String(stale.body.message), /^Operation cannot be fulfilled on configmaps "a": the object has been modified/);
    const same = await call("PUT", `${CM}/a`, { body: updated.body });
    assert.equal(rvOf(same.body), rvOf(updated.body), "an update that changes nothing writes nothing");
    const gone = await call("DELETE", `${CM}/a`);
    assert.deepEqual([gone.code, gone.body.status], [200, "Success"]);
    const missing = await call("GET", `${CM}/a`);
    assert.deepEqual([missing.code, missing.body.message], [404, 'configmaps "a" not found']);
  });

  test("generateName, names that are not valid, dry run, wrong kind", async () => {
    const made = await call("POST", CM, { body: { metadata: { generateName: "gen-" } } });
    assert.match(String(at(made.body, "metadata", "name")), /^gen-[a-z0-9]{5}$/);
    const bad = await call("POST", CM, { body: configMap("Bad_Name") });
    assert.equal(bad.code, 422);
    assert.match(
      String(bad.body.message),
      /^ConfigMap "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain/,
    );
    const dry = await call("POST", `${CM}?dryRun=All`, { body: configMap("dry") });
    assert.equal(dry.code, 201);
    assert.equal((await call("GET", `${CM}/dry`)).code, 404);
    assert.equal((await call("POST", CM, { body: { kind: "Pod", apiVersion: "v1" } })).code, 400);
    assert.equal((await call("POST", CM, { body: "{", type: "application/json" })).code, 400);
    assert.equal((await call("POST", CM, { body: "x", type: "text/plain" })).code, 415);
    assert.equal((await call("POST", "/api/v1/namespaces/nowhere/configmaps", { body: configMap("x") })).code, 404);
  });

  test("unknown fields: refused, warned of or ignored", async () => {
    const body = { ...configMap("fields"), bogus: 1 };
    const strict = await call("POST", `${CM}?fieldValidation=Strict`, { body });
    assert.equal(strict.code, 400);
    assert.match(String(strict.body.message), /strict decoding error: unknown field "bogus"/);
    const warned = await call("POST", `${CM}?dryRun=All&fieldValidation=Warn`, { body });
    assert.equal(warned.headers.warning, '299 - "unknown field \\"bogus\\""');
    const ignored = await call("POST", `${CM}?fieldValidation=Ignore`, { body });
    assert.deepEqual([ignored.code, ignored.headers.warning, ignored.body.bogus], [201, undefined, undefined]);
  });

  test("label and field selectors", async () => {
    for (const [name, tier] of [
      ["sel-a", "front"],
      ["sel-b", "back"],
      ["sel-c", "back"],
    ] as const)
      await call("POST", CM, { body: configMap(name, {}, { sel: "1", tier }) });
    const names = async (query: string) => objects((await call("GET", `${CM}?${query}`)).body.items).map((o) => at(o, "metadata", "name"));
    assert.deepEqual(await names("labelSelector=sel%3D1,tier%3Dback"), ["sel-b", "sel-c"]);
    assert.deepEqual(await names("labelSelector=sel,tier+notin+(back)"), ["sel-a"]);
    assert.deepEqual(await names("labelSelector=sel,tier!%3Dfront&fieldSelector=metadata.name%3Dsel-c"), ["sel-c"]);
    const unknown = await call("GET", `${CM}?fieldSelector=data.k%3D1`);
    assert.deepEqual([unknown.code, unknown.body.message], [400, "field label not supported: data.k"]);
    assert.equal((await call("GET", `${CM}?labelSelector=a%3Db%3Dc`)).code, 400);
  });

  test("paging answers one consistent state", async () => {
    for (const n of [1, 2, 3, 4, 5]) await call("POST", CM, { body: configMap(`page-${n}`, {}, { page: "1" }) });
    const first = await call("GET", `${CM}?labelSelector=page&limit=2`);
    const token = String(at(first.body, "metadata", "continue"));
    await call("DELETE", `${CM}/page-4`);
    await call("POST", CM, { body: configMap("page-9", {}, { page: "1" }) });
    const second = await call("GET", `${CM}?labelSelector=page&limit=2&continue=${encodeURIComponent(token)}`);
    const third = await call(
      "GET",
      `${CM}?labelSelector=page&limit=2&continue=${encodeURIComponent(String(at(second.body, "metadata", "continue")))}`,
    );
    const names = [first, second, third].map((p) => objects(p.body.items).map((o) => at(o, "metadata", "name")));
    assert.deepEqual(names, [["page-1", "page-2"], ["page-3", "page-4"], ["page-5"]]);
    assert.equal(at(third.body, "metadata", "continue"), undefined);
  });

  test("watch: from a list on, through a selector, with bookmarks", async () => {
    const before = await call("GET", `${CM}?labelSelector=watched`);
    await using w = await server.admin.watch(`${CM}?watch=1&labelSelector=watched&resourceVersion=${rvOf(before.body)}`);
    await call("POST", CM, { body: configMap("w1", { k: "1" }, { watched: "1" }) });
    await call("PATCH", `${CM}/w1`, { type: "application/merge-patch+json", body: { data: { k: "2" } } });
    await call("PATCH", `${CM}/w1`, { type: "application/merge-patch+json", body: { metadata: { labels: { watched: null } } } });
    await call("PATCH", `${CM}/w1`, { type: "application/merge-patch+json", body: { metadata: { labels: { watched: "2" } } } });
    await call("DELETE", `${CM}/w1`);
    const types = [await w.next(), await w.next(), await w.next(), await w.next(), await w.next()].map((e) => e.type);
    assert.deepEqual(types, ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]);
    await using marked = await server.admin.watch(`${CM}?watch=1&allowWatchBookmarks=true&labelSelector=none`);
    const mark = await marked.next();
    assert.equal(mark.type, "BOOKMARK");
    assert.ok(Number(rvOf(mark.object)) > 0);
    await using timed = await server.admin.watch(`${CM}?watch=1&timeoutSeconds=1&labelSelector=none`);
    await timed.ended();
    await using streamed = await server.admin.watch(
      `${CM}?watch=1&labelSelector=sel%3D1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan`,
    );
    const initial = [await streamed.next(), await streamed.next(), await streamed.next(), await streamed.next()];
    assert.deepEqual(
      initial.map((e) => e.type),
      ["ADDED", "ADDED", "ADDED", "BOOKMARK"],
    );
    assert.equal(at(initial[3]?.object, "metadata", "annotations", "k8s.io/initial-events-end"), "true");
  });

  test("finalizers hold an object until the last is gone", async () => {
    await call("POST", CM, { body: { ...configMap("held"), metadata: { name: "held", finalizers: ["demo.dev/hold"] } } });
    const marked = await call("DELETE", `${CM}/held?propagationPolicy=Foreground`);
    assert.deepEqual(at(marked.body, "metadata", "finalizers"), ["demo.dev/hold", "foregroundDeletion"]);
    assert.ok(at(marked.body, "metadata", "deletionTimestamp"));
    const patch = { type: "application/merge-patch+json", body: { metadata: { finalizers: ["demo.dev/hold", "demo.dev/new"] } } };
    assert.match(
      String((await call("PATCH", `${CM}/held`, patch)).body.message),
      /no new finalizers can be added if the object is being deleted/,
    );
    await call("PATCH", `${CM}/held`, { type: "application/merge-patch+json", body: { metadata: { finalizers: null } } });
    assert.equal((await call("GET", `${CM}/held`)).code, 404);
  });

  test("deletion preconditions", async () => {
    const made = await call("POST", CM, { body: configMap("precise") });
    const wrong = await call("DELETE", `${CM}/precise`, {
      body: { kind: "DeleteOptions", apiVersion: "v1", preconditions: { uid: "other" } },
    });
    assert.equal(wrong.code, 409);
    const right = {
      kind: "DeleteOptions",
      apiVersion: "v1",
      preconditions: { uid: at(made.body, "metadata", "uid"), resourceVersion: rvOf(made.body) },
    };
    assert.equal((await call("DELETE", `${CM}/precise`, { body: right })).code, 200);
  });

  test("namespaces: terminating refuses new content, finalize ends it", async () => {
    await call("POST", "/api/v1/namespaces", { body: { metadata: { name: "doomed" } } });
    const marked = await call("DELETE", "/api/v1/namespaces/doomed");
    assert.equal(at(marked.body, "status", "phase"), "Terminating");
    const refused = await call("POST", "/api/v1/namespaces/doomed/configmaps", { body: configMap("late") });
    assert.equal(refused.code, 403);
    assert.equal(at(objects(at(refused.body, "details", "causes"))[0], "reason"), "NamespaceTerminating");
    assert.equal((await call("GET", "/api/v1/namespaces/doomed")).code, 200);
    const done = await call("PUT", "/api/v1/namespaces/doomed/finalize", { body: { ...marked.body, spec: { finalizers: [] } } });
    assert.equal(done.code, 200);
    assert.equal((await call("GET", "/api/v1/namespaces/doomed")).code, 404);
    assert.equal((await call("DELETE", "/api/v1/namespaces/default")).code, 403);
  });

  test("server-side apply: ownership, conflict with causes, force", async () => {
    const apply = (manager: string, k: string, force = false) =>
      call("PATCH", `${CM}/ssa?fieldManager=${manager}&force=${force}`, {
        type: "application/apply-patch+yaml",
        body: `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ssa}\ndata: {k: "${k}"}\n`,
      });
    assert.equal((await apply("one", "1")).code, 201);
    assert.equal((await apply("one", "2")).code, 200);
    const conflict = await apply("two", "3");
    assert.equal(conflict.code, 409);
    assert.match(String(conflict.body.message), /^Apply failed with 1 conflict: conflict with "one": \.data\.k$/);
    assert.deepEqual(objects(at(conflict.body, "details", "causes")), [
      { reason: "FieldManagerConflict", message: 'conflict with "one"', field: ".data.k" },
    ]);
    assert.equal(at((await apply("two", "3", true)).body, "data", "k"), "3");
  });

  test("pods: defaults, ServiceAccount token, graceful deletion", async () => {
    const pods = "/api/v1/namespaces/default/pods";
    const pod = { metadata: { name: "p" }, spec: { nodeName: "node1", containers: [{ name: "c", image: "ambit/app-x:1" }] } };
    // The account comes while the request waits for it.
    const [made] = await Promise.all([
      call("POST", pods, { body: pod }),
      call("POST", "/api/v1/namespaces/default/serviceaccounts", { body: { metadata: { name: "default" } } }),
    ]);
    assert.equal(made.code, 201, JSON.stringify(made.body));
    const container = objects(at(made.body, "spec", "containers"))[0];
    assert.equal(at(objects(container?.volumeMounts)[0], "mountPath"), "/var/run/secrets/kubernetes.io/serviceaccount");
    assert.equal(container?.imagePullPolicy, "IfNotPresent");
    assert.equal(at(made.body, "status", "phase"), "Pending");
    const marked = await call("DELETE", `${pods}/p`);
    assert.equal(at(marked.body, "metadata", "deletionGracePeriodSeconds"), 30);
    assert.equal((await call("GET", `${pods}/p`)).code, 200);
    const confirmed = await call("DELETE", `${pods}/p`, {
      body: { gracePeriodSeconds: 0, preconditions: { uid: at(made.body, "metadata", "uid") } },
    });
    assert.equal(confirmed.body.status, "Success");
    const unknown = await call("POST", pods, {
      body: { ...pod, metadata: { name: "q" }, spec: { ...pod.spec, serviceAccountName: "nobody" } },
    });
    assert.equal(unknown.code, 403);
    assert.match(String(unknown.body.message), /serviceaccount "nobody" not found/);
  });

  test("services: addresses of both families, none twice, immutable", async () => {
    const services = "/api/v1/namespaces/default/services";
    const make = (name: string, spec: object) =>
      call("POST", services, { body: { metadata: { name }, spec: { ports: [{ port: 80 }], ...spec } } });
    const dual = await make("dual", { ipFamilyPolicy: "RequireDualStack" });
    const ips = list(at(dual.body, "spec", "clusterIPs")).map(String);
    assert.match(ips[0] ?? "", /^10\.96\.\d+\.\d+$/);
    assert.match(ips[1] ?? "", /^fd00:96::/);
    assert.equal(at(objects(at(dual.body, "spec", "ports"))[0], "targetPort"), 80);
    const taken = await make("taken", { clusterIP: ips[0] });
    assert.equal(taken.code, 422);
    assert.match(String(taken.body.message), /provided IP is already allocated/);
    assert.equal((await make("outside", { clusterIP: "10.97.0.1" })).code, 422);
    assert.deepEqual(at((await make("none", { clusterIP: "None", selector: { a: "b" } })).body, "spec", "clusterIPs"), ["None"]);
    const moved = await call("PATCH", `${services}/dual`, {
      type: "application/merge-patch+json",
      body: { spec: { clusterIP: "10.96.9.9", clusterIPs: ["10.96.9.9", ips[1]] } },
    });
    assert.match(String(moved.body.message), /may not change once set/);
    const replaced = await call("PUT", `${services}/dual`, { body: { metadata: { name: "dual" }, spec: { ports: [{ port: 81 }] } } });
    assert.deepEqual(at(replaced.body, "spec", "clusterIPs"), ips);
  });

  test("workloads: generation, selector, scale, status", async () => {
    const deployments = "/apis/apps/v1/namespaces/default/deployments";
    const template = { metadata: { labels: { app: "d" } }, spec: { containers: [{ name: "c", image: "x" }] } };
    const made = await call("POST", deployments, {
      body: { metadata: { name: "d" }, spec: { selector: { matchLabels: { app: "d" } }, template } },
    });
    assert.deepEqual([at(made.body, "spec", "replicas"), at(made.body, "metadata", "generation")], [1, 1]);
    const scaled = await call("PUT", `${deployments}/d/scale`, {
      body: { kind: "Scale", apiVersion: "autoscaling/v1", metadata: { name: "d" }, spec: { replicas: 3 } },
    });
    assert.deepEqual(obj(scaled.body.spec), { replicas: 3 });
    assert.equal(at(scaled.body, "status", "selector"), "app=d");
    const status = await call("PATCH", `${deployments}/d/status`, {
      type: "application/merge-patch+json",
      body: { status: { replicas: 2, observedGeneration: 2 }, spec: { replicas: 9 } },
    });
    assert.deepEqual(
      [at(status.body, "spec", "replicas"), at(status.body, "status", "replicas"), at(status.body, "metadata", "generation")],
      [3, 2, 2],
    );
    const moved = await call("PATCH", `${deployments}/d`, {
      type: "application/merge-patch+json",
      body: { spec: { selector: { matchLabels: { app: "e" } }, template: { metadata: { labels: { app: "e" } } } } },
    });
    assert.match(String(moved.body.message), /spec\.selector: Invalid value: .*: field is immutable/);
    const unfit = await call("POST", deployments, {
      body: { metadata: { name: "e" }, spec: { selector: { matchLabels: { app: "other" } }, template } },
    });
    assert.match(String(unfit.body.message), /`selector` does not match template `labels`/);
  });

  test("events are one bucket under two APIs", async () => {
    const body = {
      metadata: { name: "ev" },
      involvedObject: { kind: "Pod", name: "p", namespace: "default" },
      reason: "Tested",
      message: "hello",
      type: "Normal",
    };
    assert.equal((await call("POST", "/api/v1/namespaces/default/events", { body })).code, 201);
    const modern = await call("GET", "/apis/events.k8s.io/v1/namespaces/default/events/ev");
    assert.deepEqual([modern.body.note, at(modern.body, "regarding", "name"), modern.body.apiVersion], ["hello", "p", "events.k8s.io/v1"]);
    const found = await call("GET", "/api/v1/events?fieldSelector=involvedObject.name%3Dp,reason%3DTested");
    assert.equal(objects(found.body.items).length, 1);
  });

  test("Table output and metadata only", async () => {
    const table = await call("GET", "/api/v1/namespaces", { accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" });
    assert.equal(table.body.kind, "Table");
    assert.deepEqual(
      objects(table.body.columnDefinitions).map((c) => c.name),
      ["Name", "Status", "Age"],
    );
    assert.equal(at(objects(table.body.rows)[0], "object", "kind"), "PartialObjectMetadata");
    const partial = await call("GET", "/api/v1/namespaces/default", {
      accept: "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    });
    assert.deepEqual([partial.body.kind, partial.body.spec], ["PartialObjectMetadata", undefined]);
    assert.equal((await call("GET", "/api/v1/namespaces", { accept: "text/html" })).code, 406);
  });

  test("paths and methods nobody serves", async () => {
    assert.equal(
      (await call("GET", "/api/v1/namespaces/default/gadgets")).body.message,
      "the server could not find the requested resource",
    );
    assert.equal((await call("GET", "/nothing")).code, 404);
    assert.equal((await call("POST", `${CM}/a`, { body: {} })).code, 405);
    assert.equal((await call("OPTIONS", CM)).code, 405);
    assert.equal((await call("GET", "/version")).body.minor, "32");
  });
});

test("a watch from before the kept history is told 410, and a new list goes on", async () => {
  await using small = await startServer({ history: 8 });
  const start = rvOf((await small.admin.call("GET", CM)).body);
  for (let i = 0; i < 30; i++) await small.admin.call("POST", CM, { body: configMap(`c${i}`) });
  await using old = await small.admin.watch(`${CM}?watch=1&resourceVersion=${start}`);
  const gone = await old.next();
  assert.deepEqual([gone.type, gone.object.code, gone.object.reason], ["ERROR", 410, "Expired"]);
  await old.ended();
  const exact = await small.admin.call("GET", `${CM}?resourceVersion=${start}&resourceVersionMatch=Exact`);
  assert.equal(exact.code, 410);
  const now = await small.admin.call("GET", CM);
  await using fresh = await small.admin.watch(`${CM}?watch=1&resourceVersion=${rvOf(now.body)}`);
  await small.restart();
  await fresh.ended();
  await using resumed = await small.admin.watch(`${CM}?watch=1&resourceVersion=${rvOf(now.body)}`);
  await small.admin.call("POST", CM, { body: configMap("after-restart") });
  assert.equal(at((await resumed.next()).object, "metadata", "name"), "after-restart");
});

test("stopping does not wait for clients that say nothing", async () => {
  const server = await startServer();
  const silent = connect(server.app.port, "127.0.0.1");
  await once(silent, "connect");
  await using watch = await server.admin.watch(`${CM}?watch=1`);
  const closed = once(silent, "close");
  await server[Symbol.asyncDispose]();
  await watch.ended();
  await closed;
});
