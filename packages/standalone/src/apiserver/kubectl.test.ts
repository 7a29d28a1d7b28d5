// Does kubectl itself, unmodified, work against this server?

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { startServer, type TestServer } from "./testing/client.ts";

const MANIFEST = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: default}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app: web}}
data: {color: red}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: ambit/app-web:1, ports: [{name: http, containerPort: 8080}]}
`;

describe("kubectl", () => {
  let server: TestServer;
  before(async () => {
    server = await startServer();
    await ok(["create", "namespace", "shop"]);
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
  });
  const run = (args: readonly string[], input?: string) => server.kubectl(["-n", "shop", ...args], input);
  const ok = async (args: readonly string[], input?: string): Promise<string> => {
    const r = await server.kubectl(args, input);
    assert.equal(r.code, 0, `kubectl ${args.join(" ")}: ${r.err}`);
    return r.out;
  };
  const inShop = (args: readonly string[], input?: string) => ok(["-n", "shop", ...args], input);

  test("apply, apply again, change, diff of nothing", async () => {
    assert.match(await inShop(["apply", "-f", "-"], MANIFEST), /deployment.apps\/web created/);
    assert.deepEqual(
      [
        ...new Set(
          (await inShop(["apply", "-f", "-"], MANIFEST))
            .trim()
            .split("\n")
            .map((l) => l.split(" ")[1]),
        ),
      ],
      ["unchanged"],
    );
    assert.match(await inShop(["apply", "-f", "-"], MANIFEST.replace("color: red", "color: blue")), /configmap\/settings configured/);
    assert.equal(await inShop(["get", "cm", "settings", "-o", "jsonpath={.data.color}"]), "blue");
  });

  test("apply --server-side: takes over, conflicts, forces", async () => {
    const cm = (color: string) => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: sides}\ndata: {color: ${color}}\n`;
    await inShop(["apply", "--server-side", "--field-manager=one", "-f", "-"], cm("red"));
    const conflict = await run(["apply", "--server-side", "--field-manager=two", "-f", "-"], cm("blue"));
    assert.equal(conflict.code, 1);
    assert.match(conflict.err, /conflict with "one": \.data\.color/);
    await inShop(["apply", "--server-side", "--field-manager=two", "--force-conflicts", "-f", "-"], cm("blue"));
    assert.match(
      await inShop(["apply", "--server-side", "--force-conflicts", "-f", "-"], MANIFEST),
      /deployment.apps\/web serverside-applied/,
    );
  });

  test("label, annotate, patch of three kinds, set image, scale, edit by replace", async () => {
    await inShop(["label", "cm", "settings", "tier=front"]);
    assert.match(await inShop(["get", "cm", "-l", "tier=front", "-o", "name"]), /^configmap\/settings$/m);
    await inShop(["label", "cm", "settings", "tier-"]);
    await inShop(["annotate", "deploy", "web", "note=1"]);
    await inShop(["patch", "cm", "settings", "--type=merge", "-p", '{"data":{"a":"1"}}']);
    await inShop(["patch", "cm", "settings", "--type=json", "-p", '[{"op":"replace","path":"/data/a","value":"2"}]']);
    assert.equal(await inShop(["get", "cm", "settings", "-o", "jsonpath={.data.a}"]), "2");
    const container = '{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"A","value":"1"}]}]}}}}';
    await inShop(["patch", "deploy", "web", "-p", container]);
    assert.equal(await inShop(["get", "deploy", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}"]), "ambit/app-web:1");
    await inShop(["set", "image", "deploy/web", "web=ambit/app-web:2"]);
    await inShop(["scale", "deploy/web", "--replicas=3"]);
    assert.equal(
      await inShop(["get", "deploy", "web", "-o", "jsonpath={.spec.replicas} {.spec.template.spec.containers[0].image}"]),
      "3 ambit/app-web:2",
    );
    const whole = await inShop(["get", "cm", "settings", "-o", "yaml"]);
    await inShop(["replace", "-f", "-"], whole.replace('a: "2"', 'a: "3"'));
    const stale = await run(["replace", "-f", "-"], whole);
    assert.match(stale.err, /the object has been modified; please apply your changes to the latest version/);
  });

  test("get as table, wide, yaml; describe; explain; api-resources", async () => {
    assert.match(await inShop(["get", "deploy,svc,cm"]), /NAME +READY +UP-TO-DATE +AVAILABLE +AGE\ndeployment.apps\/web +0\/3/);
    assert.match(await inShop(["get", "svc", "web", "-o", "wide"]), /app=web/);
    assert.match(await inShop(["describe", "svc", "web"]), /Selector: +app=web/);
    assert.match(await ok(["explain", "deployment.spec.strategy"]), /rollingUpdate/);
    assert.match(await ok(["api-resources"]), /deployments +deploy +apps\/v1 +true +Deployment/);
    assert.match((await run(["get", "gadgets"])).err, /the server doesn't have a resource type "gadgets"/);
    assert.match((await run(["get", "cm", "absent"])).err, /Error from server \(NotFound\): configmaps "absent" not found/);
  });

  test("typed commands, which send protobuf", async () => {
    assert.match(await inShop(["create", "configmap", "made", "--from-literal=k=v"]), /created/);
    assert.match(await inShop(["create", "secret", "generic", "hidden", "--from-literal=k=v"]), /created/);
    assert.equal(await inShop(["get", "secret", "hidden", "-o", "jsonpath={.data.k}"]), "dg==");
    await inShop(["create", "sa", "bob"]);
    await inShop(["create", "deployment", "typed", "--image=x", "--replicas=2", "--port=80"]);
    assert.match(await inShop(["get", "deploy", "typed"]), /0\/2/);
    await inShop(["expose", "deployment", "typed", "--port=80", "--target-port=http"]);
    assert.equal(await inShop(["get", "svc", "typed", "-o", "jsonpath={.spec.ports[0].targetPort}"]), "http");
    assert.equal((await inShop(["create", "token", "bob"])).split(".").length, 3);
    await inShop(["create", "role", "reader", "--verb=get,list", "--resource=pods"]);
    await inShop(["create", "rolebinding", "bob-reads", "--role=reader", "--serviceaccount=shop:bob"]);
    assert.equal(await inShop(["auth", "can-i", "list", "pods", "--as=system:serviceaccount:shop:bob"]), "yes\n");
    assert.match((await run(["auth", "can-i", "list", "secrets", "--as=system:serviceaccount:shop:bob"])).out, /^no/);
    assert.match(await ok(["auth", "whoami"]), /kubernetes-admin/);
  });

  test("bad manifests: refused in one clear message", async () => {
    const refusal = async (manifest: string) => (await run(["apply", "-f", "-"], manifest)).err;
    assert.match(
      await refusal("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Up}\n"),
      /The ConfigMap "Up" is invalid: metadata.name: Invalid value: "Up"/,
    );
    assert.match(
      await refusal("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndatta: {}\n"),
      /strict decoding error: unknown field "datta"/,
    );
    assert.match(
      await refusal("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: []}\n"),
      /spec.containers: Required value/,
    );
    assert.match(await refusal("apiVersion: v9\nkind: Pod\nmetadata: {name: x}\n"), /no matches for kind "Pod" in version "v9"/);
    assert.match(
      await refusal(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: c}}, spec: {containers: [{name: c, image: x}]}}}\n",
      ),
      /`selector` does not match template `labels`/,
    );
  });

  test("get -w sees changes as they come; wait returns on a condition and on deletion", async () => {
    const watching = spawn("kubectl", ["-n", "shop", "get", "cm", "-w", "-o", "name"], {
      env: { PATH: "/usr/bin:/bin", KUBECONFIG: server.app.kubeconfig, HOME: server.dir },
    });
    const lines = createInterface({ input: watching.stdout })[Symbol.asyncIterator]();
    const seen = new Set<string>();
    const until = async (name: string): Promise<void> => {
      while (!seen.has(name)) {
        const next = await lines.next();
        if (next.done === true) throw new Error("kubectl get -w has ended");
        seen.add(next.value);
      }
    };
    await until("configmap/settings");
    await inShop(["create", "configmap", "fresh"]);
    await until("configmap/fresh");
    const ended = once(watching, "exit");
    watching.kill();
    await ended;
    const waiting = inShop(["wait", "--for=delete", "cm/fresh", "--timeout=20s"]);
    const conditional = inShop(["wait", "--for=jsonpath={.data.done}=yes", "cm/made", "--timeout=20s"]);
    await inShop(["patch", "cm", "made", "--type=merge", "-p", '{"data":{"done":"yes"}}']);
    await inShop(["delete", "cm", "fresh"]);
    await Promise.all([waiting, conditional]);
  });

  test("delete: by name, by selector, by file, all", async () => {
    assert.match(await inShop(["delete", "cm", "made"]), /configmap "made" deleted/);
    await inShop(["delete", "deploy", "-l", "app=typed"]);
    await inShop(["delete", "-f", "-"], MANIFEST);
    await inShop(["delete", "all", "--all"]);
    assert.equal((await run(["get", "all"])).err, "No resources found in shop namespace.\n");
  });
});
