// Who may call whom: STRICT, L4 policies, live connections that a new policy ends, probes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { dial, ended, fate, readUntil } from "../../world/net.ts";
import { until, within } from "../../world/until.ts";
import type { Context } from "../context.ts";
import { PORTS, peerAuthentication } from "../fixture.ts";

const L4 = (name: string, action: "ALLOW" | "DENY", principal: string): string => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: mesh }
spec:
  selector: { matchLabels: { kind: echo } }
  action: ${action}
  rules: [{ from: [{ source: { principals: ["${principal}"] } }] }]
`;

const held = (ctx: Context, key: string, yes: boolean): Promise<true> =>
  until(`${key} ${yes ? "held" : "gone"} everywhere`, async () =>
    (await ctx.policiesHeld()).every((p) => p.includes(key) === yes) ? true : undefined,
  );

/** Takes a test's object away again, and waits until no ztunnel holds it. */
const remove = async (c: Context, kind: string, name: string): Promise<void> => {
  await c.cluster.kubectl("-n", "mesh", "delete", kind, name, "--ignore-not-found");
  await held(c, kind === "peerauthentication" ? "istio-system/istio_converted_static_strict" : `mesh/${name}`, false);
};

export const policy = (ctx: () => Context): void => {
  test("STRICT refuses plaintext and lets mTLS through; PERMISSIVE lets it in again", async (t) => {
    const c = ctx();
    t.after(() => remove(c, "peerauthentication", "default"));
    const to = { host: await c.ip("mesh/server2"), port: PORTS.echo };
    await c.cluster.apply(peerAuthentication("mesh", "STRICT"));
    await held(c, "istio-system/istio_converted_static_strict", true);
    await until("plaintext refused", async () =>
      /closed|reset/.test(await fate(await c.place("plain/client"), to, "x")) ? true : undefined,
    );
    assert.equal(await fate(await c.place("mesh/client1"), to, "x"), "open");
    assert.equal(await fate(await c.place("mesh/client2"), to, "x"), "open");
    await c.cluster.apply(peerAuthentication("mesh", "PERMISSIVE"));
    await until("plaintext let in", async () => ((await fate(await c.place("plain/client"), to, "x")) === "open" ? true : undefined));
  });

  test("kubelet's probes reach a pod under STRICT", async (t) => {
    const c = ctx();
    t.after(() => remove(c, "peerauthentication", "default"));
    await c.cluster.apply(peerAuthentication("mesh", "STRICT"));
    await held(c, "istio-system/istio_converted_static_strict", true);
    await c.cluster.kubectl("-n", "mesh", "rollout", "restart", "deployment/server1");
    await c.cluster.kubectl("-n", "mesh", "rollout", "status", "deployment/server1", "--timeout=60s");
    const pod = await c.pod("mesh/server1");
    await until("the new pod captured", async () =>
      (await c.pod("mesh/server1")).metadata.annotations?.["ambient.istio.io/redirection"] === "enabled" ? true : undefined,
    );
    assert.ok(pod.status?.conditions?.some((x) => x.type === "Ready" && x.status === "True"));
  });

  test("an ALLOW policy admits its principal and nobody else (test_policy)", async (t) => {
    const c = ctx();
    t.after(() => remove(c, "authorizationpolicy", "only-client"));
    const to = { host: await c.ip("mesh/server2"), port: PORTS.echo };
    await c.cluster.apply(L4("only-client", "ALLOW", "cluster.local/ns/mesh/sa/client"));
    await until("other refused", async () => (/closed|reset/.test(await fate(await c.place("mesh/other"), to, "x")) ? true : undefined));
    assert.equal(await fate(await c.place("mesh/client1"), to, "x"), "open");
    assert.match(await fate(await c.place("plain/client"), to, "x"), /closed|reset/);
    const node = (await c.pod("mesh/server2")).spec?.nodeName ?? "";
    const log = await c.ztunnelLog(node, "error", "only-client");
    assert.ok(log.length > 0, "the refusal names the policy in the access log");
  });

  test("a policy that starts to deny ends the live connection", async (t) => {
    const c = ctx();
    t.after(() => remove(c, "authorizationpolicy", "no-client"));
    const socket = await dial(await c.place("mesh/client1"), { host: await c.ip("mesh/server2"), port: PORTS.echo });
    socket.write("before.");
    await readUntil(socket, "before.");
    const cut = ended(socket);
    socket.resume();
    await c.cluster.apply(L4("no-client", "DENY", "cluster.local/ns/mesh/sa/client"));
    await within("the live connection cut", cut, 20_000);
    socket.destroy();
  });

  test("a policy with a matcher that cannot be read denies, and its status names object, field and fix (fail closed)", async (t) => {
    const c = ctx();
    t.after(() => remove(c, "authorizationpolicy", "bad"));
    const to = { host: await c.ip("mesh/server2"), port: PORTS.echo };
    await c.cluster.apply(`apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: bad, namespace: mesh }
spec:
  selector: { matchLabels: { kind: echo } }
  action: DENY
  rules: [{ from: [{ source: { ipBlocks: ["10.0.0.0/99"] } }] }]
`);
    const status = await until("a status condition", async () => {
      const text = await c.cluster.kubectl("-n", "mesh", "get", "authorizationpolicy", "bad", "-o", "jsonpath={.status.conditions}");
      return text.includes("ZtunnelAccepted") ? text : undefined;
    });
    assert.match(status, /"status":"False"/);
    assert.match(status, /spec\.rules\[0\]\.from\[0\]\.source\.ipBlocks/);
    await until("its pods closed", async () =>
      /closed|reset/.test(await fate(await c.place("mesh/client1"), to, "x")) ? true : undefined,
    );
    await c.cluster.kubectl("-n", "mesh", "delete", "authorizationpolicy", "bad");
    await until("open again", async () => ((await fate(await c.place("mesh/client1"), to, "x")) === "open" ? true : undefined));
  });
};
