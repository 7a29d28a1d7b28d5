// Who gets in, who may do what, and what do refusals say?

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createKey, createRoot, issueLeaf } from "@ambit/shared/tls/issue.ts";
import { at, list, obj } from "../model/object.ts";
import { createClient, startServer, type TestServer } from "../testing/client.ts";

const NS = "/api/v1/namespaces/default";

describe("authentication and authorization", () => {
  let server: TestServer;
  before(async () => {
    server = await startServer();
    await server.admin.call("POST", `${NS}/serviceaccounts`, { body: { metadata: { name: "default" } } });
    await server.admin.call("POST", `${NS}/serviceaccounts`, { body: { metadata: { name: "bob" } } });
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
  });

  const tokenFor = async (account: string, spec: object = {}): Promise<string> => {
    const made = await server.admin.call("POST", `${NS}/serviceaccounts/${account}/token`, { body: { spec } });
    assert.equal(made.code, 201, JSON.stringify(made.body));
    return String(at(made.body, "status", "token"));
  };
  const makePod = async (name: string) =>
    (
      await server.admin.call("POST", `${NS}/pods`, {
        body: { metadata: { name }, spec: { serviceAccountName: "bob", containers: [{ name: "c", image: "x" }] } },
      })
    ).body;
  const review = async (token: string, audiences?: string[]) =>
    obj(
      (await server.admin.call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", { body: { spec: { token, audiences } } })).body
        .status,
    );

  test("without credentials only health and version are told", async () => {
    const refused = await server.anonymous.call("GET", `${NS}/pods`);
    assert.deepEqual([refused.code, refused.body.reason, refused.body.message], [401, "Unauthorized", "Unauthorized"]);
    for (const path of ["/healthz", "/livez", "/readyz", "/version"]) assert.equal((await server.anonymous.call("GET", path)).code, 200);
    assert.equal((await server.anonymous.call("GET", "/apis")).code, 401);
    assert.equal((await server.anonymous.call("GET", "/version", { token: "nonsense" })).code, 401);
  });

  test("a certificate of another CA, and one of ours for serving, are no credentials", async () => {
    const validity = { notBefore: Date.UTC(2020), notAfter: Date.UTC(2049) };
    const { keyPem, publicKey } = createKey();
    const forged = issueLeaf(createRoot({ commonName: "ambit-ca", ...validity }), {
      ...validity,
      publicKey,
      uris: [],
      commonName: "kubernetes-admin",
      organizations: ["system:masters"],
      usages: ["client"],
    });
    const stranger = createClient(server.app.url, { caPem: server.app.caPem, certificatePem: forged, keyPem });
    assert.equal((await stranger.call("GET", `${NS}/pods`)).code, 401);
    const serving = createClient(server.app.url, { caPem: server.app.caPem, ...server.app.pki.server });
    assert.equal((await serving.call("GET", `${NS}/pods`)).code, 401);
  });

  test("a ServiceAccount token: signature, audience, expiry", async () => {
    const token = await tokenFor("bob", { expirationSeconds: 600 });
    const known = await server.anonymous.call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", { token, body: {} });
    assert.equal(at(known.body, "status", "userInfo", "username"), "system:serviceaccount:default:bob");
    assert.deepEqual(at(known.body, "status", "userInfo", "groups"), [
      "system:serviceaccounts",
      "system:serviceaccounts:default",
      "system:authenticated",
    ]);
    const [head, body, signature] = token.split(".");
    const claims = JSON.parse(Buffer.from(body ?? "", "base64url").toString());
    const altered = Buffer.from(JSON.stringify({ ...claims, sub: "system:serviceaccount:kube-system:default" })).toString("base64url");
    const unsigned = `${Buffer.from('{"alg":"none"}').toString("base64url")}.${body}.`;
    for (const bad of [`${head}.${altered}.${signature}`, unsigned, `${token}x`, "a.b.c"])
      assert.equal((await server.anonymous.call("GET", "/api", { token: bad })).code, 401, bad);
    const foreign = await tokenFor("bob", { audiences: ["istio-ca"] });
    assert.equal((await server.anonymous.call("GET", "/api", { token: foreign })).code, 401);
    assert.equal((await review(foreign)).authenticated, false);
    const accepted = await review(foreign, ["istio-ca", "other"]);
    assert.deepEqual([accepted.authenticated, accepted.audiences], [true, ["istio-ca"]]);
    server.advance(601_000);
    assert.equal((await server.anonymous.call("GET", "/api", { token })).code, 401);
    assert.match(String((await review(token)).error), /expired/);
  });

  test("a token bound to a pod ends with the pod, also when another takes its name", async () => {
    const pod = await makePod("bound");
    const ref = { apiVersion: "v1", kind: "Pod", name: "bound", uid: at(pod, "metadata", "uid") };
    const token = await tokenFor("bob", { boundObjectRef: ref, audiences: ["istio-ca"] });
    const status = await review(token, ["istio-ca"]);
    assert.deepEqual(at(status, "user", "extra", "authentication.kubernetes.io/pod-name"), ["bound"]);
    assert.deepEqual(at(status, "user", "extra", "authentication.kubernetes.io/pod-uid"), [at(pod, "metadata", "uid")]);
    const other = await server.admin.call("POST", `${NS}/serviceaccounts/default/token`, { body: { spec: { boundObjectRef: ref } } });
    assert.equal(other.code, 403, "a pod of another account");
    const wrongUid = await server.admin.call("POST", `${NS}/serviceaccounts/bob/token`, {
      body: { spec: { boundObjectRef: { ...ref, uid: "x" } } },
    });
    assert.equal(wrongUid.code, 409);
    await server.admin.call("DELETE", `${NS}/pods/bound?gracePeriodSeconds=0`);
    await makePod("bound");
    assert.equal((await review(token, ["istio-ca"])).authenticated, false);
  });

  test("a token ends with its ServiceAccount", async () => {
    const accounts = `${NS}/serviceaccounts`;
    await server.admin.call("POST", accounts, { body: { metadata: { name: "brief" } } });
    const token = await tokenFor("brief");
    await server.admin.call("DELETE", `${accounts}/brief`);
    await server.admin.call("POST", accounts, { body: { metadata: { name: "brief" } } });
    assert.equal((await server.anonymous.call("GET", "/api", { token })).code, 401);
  });

  test("token requests that ask for what cannot be", async () => {
    const ask = (spec: object) => server.admin.call("POST", `${NS}/serviceaccounts/bob/token`, { body: { spec } });
    assert.equal((await ask({ expirationSeconds: 10 })).code, 422);
    assert.equal((await ask({ boundObjectRef: { kind: "Service", name: "x" } })).code, 422);
    assert.equal((await ask({ boundObjectRef: { kind: "Pod", name: "absent" } })).code, 404);
    assert.equal((await server.admin.call("POST", `${NS}/serviceaccounts/absent/token`, { body: {} })).code, 404);
  });

  test("RBAC: refused in Kubernetes' words, allowed by a binding, cluster-wide or in one namespace", async () => {
    const token = await tokenFor("bob");
    const as = (method: string, path: string, body?: unknown) =>
      server.anonymous.call(method, path, { token, ...(body === undefined ? {} : { body }) });
    const refused = await as("GET", `${NS}/configmaps/x`);
    assert.deepEqual(
      [refused.code, refused.body.message],
      [
        403,
        'configmaps "x" is forbidden: User "system:serviceaccount:default:bob" cannot get resource "configmaps" in API group "" in the namespace "default"',
      ],
    );
    const wide = await as("GET", "/apis/apps/v1/deployments");
    assert.equal(
      wide.body.message,
      'deployments.apps is forbidden: User "system:serviceaccount:default:bob" cannot list resource "deployments" in API group "apps" at the cluster scope',
    );
    const rbac = "/apis/rbac.authorization.k8s.io/v1";
    await server.admin.call("POST", `${rbac}/namespaces/default/roles`, {
      body: { metadata: { name: "reader" }, rules: [{ apiGroups: [""], resources: ["configmaps"], resourceNames: ["x"], verbs: ["get"] }] },
    });
    await server.admin.call("POST", `${rbac}/namespaces/default/rolebindings`, {
      body: {
        metadata: { name: "bob-reads" },
        roleRef: { kind: "Role", name: "reader" },
        subjects: [{ kind: "ServiceAccount", name: "bob", namespace: "default" }],
      },
    });
    assert.equal((await as("GET", `${NS}/configmaps/x`)).code, 404);
    assert.equal((await as("GET", `${NS}/configmaps/y`)).code, 403);
    assert.equal((await as("GET", "/api/v1/namespaces/kube-system/configmaps/x")).code, 403);
    await server.admin.call("POST", `${rbac}/clusterrolebindings`, {
      body: {
        metadata: { name: "bob-views" },
        roleRef: { kind: "ClusterRole", name: "view" },
        subjects: [{ kind: "ServiceAccount", name: "bob", namespace: "default" }],
      },
    });
    assert.equal((await as("GET", "/api/v1/pods")).code, 200);
    assert.equal((await as("GET", `${NS}/secrets`)).code, 403);
    const can = await as("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
      spec: { resourceAttributes: { verb: "list", resource: "pods" } },
    });
    assert.equal(at(can.body, "status", "allowed"), true);
  });

  test("nobody grants what they do not hold", async () => {
    const rbac = "/apis/rbac.authorization.k8s.io/v1";
    const subject = { kind: "ServiceAccount", name: "bob", namespace: "default" };
    await server.admin.call("POST", `${rbac}/clusterroles`, {
      body: {
        metadata: { name: "role-writer" },
        rules: [
          { apiGroups: ["rbac.authorization.k8s.io"], resources: ["clusterroles", "clusterrolebindings"], verbs: ["create", "update"] },
        ],
      },
    });
    await server.admin.call("POST", `${rbac}/clusterrolebindings`, {
      body: { metadata: { name: "bob-writes" }, roleRef: { kind: "ClusterRole", name: "role-writer" }, subjects: [subject] },
    });
    const token = await tokenFor("bob");
    const make = (resource: string, body: unknown) => server.anonymous.call("POST", `${rbac}/${resource}`, { token, body });
    const more = await make("clusterroles", {
      metadata: { name: "more" },
      rules: [{ apiGroups: [""], resources: ["secrets"], verbs: ["get"] }],
    });
    assert.equal(more.code, 403);
    assert.match(String(more.body.message), /attempting to grant RBAC permissions not currently held/);
    const equal = {
      metadata: { name: "equal" },
      rules: [{ apiGroups: ["rbac.authorization.k8s.io"], resources: ["clusterroles"], verbs: ["create"] }],
    };
    assert.equal((await make("clusterroles", equal)).code, 201);
    const bind = await make("clusterrolebindings", {
      metadata: { name: "up" },
      roleRef: { kind: "ClusterRole", name: "cluster-admin" },
      subjects: [subject],
    });
    assert.equal(bind.code, 403);
  });

  test("impersonation is for those who may", async () => {
    const headers = { "impersonate-user": "system:serviceaccount:default:bob" };
    const who = await server.admin.call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", { headers, body: {} });
    assert.equal(at(who.body, "status", "userInfo", "username"), "system:serviceaccount:default:bob");
    assert.ok(list(at(who.body, "status", "userInfo", "groups")).includes("system:serviceaccounts:default"));
    const token = await tokenFor("bob");
    const refused = await server.anonymous.call("GET", "/api", {
      token,
      headers: { "impersonate-user": "kubernetes-admin", "impersonate-group": "system:masters" },
    });
    assert.equal(refused.code, 403);
  });

  test("a node's certificate does what a kubelet needs, and no more", async () => {
    const node = createClient(server.app.url, {
      caPem: server.app.caPem,
      ...server.app.pki.client("node1", "system:node:node1", ["system:nodes"]),
    });
    assert.equal((await node.call("POST", "/api/v1/nodes", { body: { metadata: { name: "node1" } } })).code, 201);
    assert.equal((await node.call("GET", "/api/v1/pods")).code, 200);
    assert.equal((await node.call("POST", "/api/v1/nodes", { body: { metadata: { name: "node2" } } })).code, 403);
    const unbound = await node.call("POST", `${NS}/serviceaccounts/bob/token`, { body: {} });
    assert.match(String(unbound.body.message), /node requested token not bound to a pod/);
    assert.equal(
      (await node.call("POST", `${NS}/pods`, { body: {} })).code,
      422,
      "mirror pods may be made, so this is judged by its content",
    );
    assert.equal((await node.call("DELETE", "/api/v1/namespaces/default")).code, 403);
  });
});
