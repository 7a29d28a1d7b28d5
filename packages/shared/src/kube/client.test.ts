// Does the client ask as Kubernetes wants, and tell failures apart?

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createKubeClient, type KubeClient, loadKubeConfig } from "./client.ts";
import { isAlreadyExists, isConflict, KubeError } from "./error.ts";
import type { ConfigMap, ServiceAccount, TokenRequest } from "./objects/core.ts";
import { RESOURCES } from "./resources.ts";
import { type Answer, json, type Scripted, scripted, status } from "./test/scripted-server.ts";

const withClient = async (answers: readonly Answer[], body: (client: KubeClient, server: Scripted) => Promise<void>): Promise<void> => {
  await using server = await scripted(answers);
  const client = createKubeClient(server.config);
  try {
    await body(client, server);
  } finally {
    await client.close();
  }
};
const key = { namespace: "d", name: "a" };

test("get: undefined on 404, KubeError otherwise", () =>
  withClient([status(404, "NotFound"), status(403, "Forbidden", "not you")], async (client) => {
    assert.equal(await client.get(RESOURCES.pods, key), undefined);
    await assert.rejects(
      client.get(RESOURCES.pods, key),
      (e: unknown) => e instanceof KubeError && e.status === 403 && e.reason === "Forbidden" && e.message.endsWith("not you"),
    );
  }));

test("409: a conflict is not an object that exists already", () =>
  withClient([status(409, "Conflict"), status(409, "AlreadyExists")], async (client) => {
    const object: ConfigMap = { metadata: key, data: { x: "y" } };
    await assert.rejects(client.update(RESOURCES.configMaps, object), (e) => isConflict(e) && !isAlreadyExists(e));
    await assert.rejects(client.create(RESOURCES.configMaps, object), (e) => isAlreadyExists(e) && !isConflict(e));
  }));

test("requests say what they mean", () =>
  withClient([json(200, { metadata: {} })], async (client, server) => {
    await client.create<ConfigMap>(RESOURCES.configMaps, { metadata: key });
    await client.create<TokenRequest>(
      RESOURCES.serviceAccounts,
      { metadata: { namespace: "d", name: "" }, spec: { audiences: ["x"] } },
      { subresource: "token", parent: "sa" },
    );
    await client.patch<ConfigMap>(RESOURCES.configMaps, key, { type: "apply", body: { data: {} }, fieldManager: "ambit", force: true });
    await client.patch<ConfigMap>(RESOURCES.configMaps, key, { type: "json", body: [], subresource: "status" });
    await client.delete(RESOURCES.deployments, key, { propagationPolicy: "Foreground", uid: "u" });
    assert.deepEqual(
      server.asked.map((a) => `${a.method} ${a.path}?${a.query} ${a.headers["content-type"]}`),
      [
        "POST /api/v1/namespaces/d/configmaps? application/json",
        "POST /api/v1/namespaces/d/serviceaccounts/sa/token? application/json",
        "PATCH /api/v1/namespaces/d/configmaps/a?fieldManager=ambit&force=true application/apply-patch+yaml",
        "PATCH /api/v1/namespaces/d/configmaps/a/status? application/json-patch+json",
        "DELETE /apis/apps/v1/namespaces/d/deployments/a? application/json",
      ],
    );
    assert.deepEqual(JSON.parse(server.asked[2]?.body ?? ""), { apiVersion: "v1", kind: "ConfigMap", data: {} });
    assert.deepEqual(JSON.parse(server.asked[4]?.body ?? "").preconditions, { uid: "u" });
  }));

test("429 with Retry-After is waited out", () =>
  withClient([json(429, {}, { "retry-after": "0" }), json(200, { metadata: { name: "a" } })], async (client, server) => {
    assert.equal((await client.get<ServiceAccount>(RESOURCES.serviceAccounts, key))?.metadata.name, "a");
    assert.equal(server.asked.length, 2);
  }));

test("a page that is not JSON is an error that says so", () =>
  withClient([(_a, res) => void res.end("<html>"), (_a, res) => void res.writeHead(502).end("<html>")], async (client) => {
    await assert.rejects(client.list(RESOURCES.pods), /not JSON/);
    await assert.rejects(client.list(RESOURCES.pods), /GET \/api\/v1\/pods: HTTP 502/);
  }));

test("a server that cannot be reached is named", async () => {
  const server = await scripted([]);
  await server.close();
  const client = createKubeClient(server.config);
  await assert.rejects(client.list(RESOURCES.pods), /^Error: cannot reach the API server at http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/);
  await client.close();
});

test("kubeconfig: the current context's server, credentials and namespace; one sentence for what is wrong", async () => {
  const dir = mkdtempSync(join(tmpdir(), "t-kube-"));
  try {
    const file = join(dir, "config");
    writeFileSync(join(dir, "ca.pem"), "CA");
    writeFileSync(
      file,
      JSON.stringify({
        "current-context": "c",
        clusters: [{ name: "k", cluster: { server: "https://127.0.0.1:1/", "certificate-authority": "ca.pem" } }],
        users: [{ name: "u", user: { token: "secret" } }],
        contexts: [{ name: "c", context: { cluster: "k", user: "u", namespace: "n" } }],
      }),
    );
    const config = loadKubeConfig({ kubeconfig: file });
    assert.equal(config.server, "https://127.0.0.1:1");
    assert.equal(config.namespace, "n");
    assert.equal(String(config.tls().ca), "CA");
    assert.deepEqual(await config.headers(), { authorization: "Bearer secret" });
    const plain = join(dir, "plain");
    const data = (t: string): string => Buffer.from(t).toString("base64");
    writeFileSync(
      plain,
      JSON.stringify({
        "current-context": "c",
        clusters: [{ name: "k", cluster: { server: "https://127.0.0.1:2", "certificate-authority-data": data("CA") } }],
        users: [{ name: "u", user: { "client-certificate-data": data("CERT"), "client-key-data": data("KEY") } }],
        contexts: [{ name: "c", context: { cluster: "k", user: "u" } }],
      }),
    );
    const embedded = loadKubeConfig({ kubeconfig: plain });
    assert.equal(embedded.server, "https://127.0.0.1:2");
    assert.deepEqual([embedded.tls().ca, embedded.tls().cert, embedded.tls().key].map(String), ["CA", "CERT", "KEY"]);
    assert.equal(embedded.namespace, "default");
    assert.throws(() => loadKubeConfig({ kubeconfig: join(dir, "nope") }), /cannot read .*nope: ENOENT/);
    writeFileSync(file, "- not\n- a: kubeconfig");
    assert.throws(() => loadKubeConfig({ kubeconfig: file }), new RegExp(`^Error: ${file} `));
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("outside a cluster and without a kubeconfig: said in one sentence, whoever looks", () => {
  assert.throws(() => loadKubeConfig({ env: {} }), /not inside a cluster/);
  if (process.env.KUBERNETES_SERVICE_HOST === undefined) assert.throws(() => loadKubeConfig(), /not inside a cluster/);
});
