// Labels that come and go, pods that die, components that are killed: what goes on, and what comes back?
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { dial, ended, fate, http, readUntil } from "../../world/net.ts";
import { until, within } from "../../world/until.ts";
import type { Context } from "../context.ts";
import { PORTS } from "../fixture.ts";
import { killPod, pidsOf } from "../kill.ts";
import { underLoad } from "../load.ts";

const restartsOf = async (c: Context, namespace: string, selector: string): Promise<number> =>
  (await c.cluster.pods(namespace, selector)).reduce((sum, p) => sum + (p.status?.containerStatuses?.[0]?.restartCount ?? 0), 0);

const ready = (c: Context, what: string): Promise<string> =>
  c.cluster.kubectl("-n", "istio-system", "rollout", "status", what, "--timeout=90s");

/** Kills every process of a component and waits until kubelet has started it again and it is ready. */
const killed = async (c: Context, what: string, selector: string): Promise<void> => {
  const before = await restartsOf(c, "istio-system", selector);
  const count = (await c.cluster.pods("istio-system", selector)).length;
  await killPod(c, "istio-system", selector);
  await until(
    `${what} started again`,
    async () => ((await restartsOf(c, "istio-system", selector)) >= before + count ? true : undefined),
    60_000,
  );
  await ready(c, what);
};

export const lifecycle = (ctx: () => Context): void => {
  test("label removed from a live pod: in clear from then on; put back: in the mesh again", async () => {
    const c = ctx();
    const pod = await c.pod("mesh/server2");
    const name = pod.metadata.name;
    const to = { host: await c.ip("mesh/server2"), port: PORTS.echo };
    const place = await c.place("mesh/client1");
    await c.cluster.kubectl("-n", "mesh", "label", "pod", name, "istio.io/dataplane-mode=none");
    await until("the annotation gone", async () =>
      (await c.pod("mesh/server2")).metadata.annotations?.["ambient.istio.io/redirection"] === undefined ? true : undefined,
    );
    await until("answers in clear", async () => ((await fate(place, to, "x")) === "open" ? true : undefined));
    const workload = async (): Promise<string> => c.cluster.ambit("zc", "workload", "--workload-namespace", "mesh");
    await until("known as TCP", async () => (new RegExp(`${name}.*TCP`).test(await workload()) ? true : undefined));
    await c.cluster.kubectl("-n", "mesh", "label", "pod", name, "istio.io/dataplane-mode-");
    await until("known as HBONE", async () => (new RegExp(`${name}.*HBONE`).test(await workload()) ? true : undefined));
    assert.equal(await fate(place, to, "x"), "open");
  });

  test("captured while it serves: connections that were open go on, no new one fails", { timeout: 90_000 }, async () => {
    const c = ctx();
    const to = { host: await c.ip("plain/server"), port: PORTS.echo };
    const place = await c.place("plain/client");
    const open = await dial(place, to);
    open.write("before.");
    await readUntil(open, "before.");
    const report = await underLoad(place, { host: to.host, port: PORTS.http }, async () => {
      await c.cluster.kubectl("label", "namespace", "plain", "istio.io/dataplane-mode=ambient");
      await until("plain captured", async () =>
        (await c.cluster.pods("plain")).every((p) => p.metadata.annotations?.["ambient.istio.io/redirection"] === "enabled")
          ? true
          : undefined,
      );
    });
    assert.deepEqual(report.failures, []);
    open.write("after.");
    assert.match(await readUntil(open, "after."), /after\./);
    open.destroy();
    await c.cluster.kubectl("label", "namespace", "plain", "istio.io/dataplane-mode-");
    await until("plain released", async () =>
      (await c.cluster.pods("plain")).every((p) => p.metadata.annotations?.["ambient.istio.io/redirection"] === undefined)
        ? true
        : undefined,
    );
    assert.equal(await fate(place, to, "x"), "open");
  });

  test("a pod deleted in mid-transfer ends its connections, it does not leave them hanging", async () => {
    const c = ctx();
    const socket = await dial(await c.place("mesh/client1"), { host: await c.ip("mesh/server2"), port: PORTS.send });
    socket.write("50000000000\n");
    await once(socket, "data");
    const pod = await c.pod("mesh/server2");
    const cut = ended(socket);
    await c.cluster.kubectl("-n", "mesh", "delete", "pod", pod.metadata.name, "--wait=false");
    await within("the transfer to end", cut, 30_000);
    socket.destroy();
    const next = await c.pod("mesh/server2");
    assert.notEqual(next.metadata.uid, pod.metadata.uid);
    await until(
      "the new pod answers",
      async () =>
        (await fate(await c.place("mesh/client1"), { host: await c.ip("mesh/server2"), port: PORTS.echo }, "x")) === "open"
          ? true
          : undefined,
      30_000,
    );
  });

  test("the controller killed: new connections go on, and it comes back", { timeout: 120_000 }, async () => {
    const c = ctx();
    const report = await underLoad(await c.place("mesh/client1"), { host: await c.vip("mesh", "server"), port: PORTS.http }, () =>
      killed(c, "deployment/istiod", "app=istiod"),
    );
    assert.deepEqual(report.failures, []);
  });

  test("the node agents killed: new connections go on, and a pod made meanwhile is captured", { timeout: 120_000 }, async () => {
    const c = ctx();
    const report = await underLoad(await c.place("mesh/client1"), { host: await c.vip("mesh", "server"), port: PORTS.http }, async () => {
      const back = killed(c, "daemonset/istio-cni-node", "k8s-app=istio-cni-node");
      await c.cluster.kubectl("-n", "mesh", "rollout", "restart", "deployment/other");
      await back;
    });
    assert.deepEqual(report.failures, []);
    await until("the new pod captured", async () =>
      (await c.pod("mesh/other")).metadata.annotations?.["ambient.istio.io/redirection"] === "enabled" ? true : undefined,
    );
  });

  test("ztunnel killed: captured pods are served again once it is back, and nothing passed in clear meanwhile", {
    timeout: 120_000,
  }, async () => {
    const c = ctx();
    const to = { host: await c.ip("mesh/server2"), port: PORTS.http };
    await killed(c, "daemonset/ztunnel", "app=ztunnel");
    await until("an answer", async () => ((await http(await c.place("mesh/client1"), to)).status === 200 ? true : undefined), 60_000);
    const node = (await c.pod("mesh/client1")).spec?.nodeName ?? "";
    await until("a tunnelled line in the new log", async () =>
      (await c.ztunnelLog(node, "connection complete", "dst.hbone_addr")).length > 0 ? true : undefined,
    );
  });

  test("no ztunnel at all: captured pods reach nothing, rather than anything in clear", { timeout: 120_000 }, async () => {
    const c = ctx();
    const place = await c.place("mesh/client1");
    const to = [
      { host: await c.ip("mesh/server2"), port: PORTS.echo },
      { host: await c.ip("plain/server"), port: PORTS.echo },
    ];
    await c.cluster.kubectl(
      "-n",
      "istio-system",
      "patch",
      "daemonset",
      "ztunnel",
      "--type=merge",
      "-p",
      '{"spec":{"template":{"spec":{"nodeSelector":{"nowhere":"true"}}}}}',
    );
    await until("no ztunnel", async () => ((await c.cluster.pods("istio-system", "app=ztunnel")).length === 0 ? true : undefined), 60_000);
    for (const t of to) assert.equal(await fate(place, t, "x"), "refused", `${t.host}`);
    await c.cluster.kubectl(
      "-n",
      "istio-system",
      "patch",
      "daemonset",
      "ztunnel",
      "--type=json",
      "-p",
      '[{"op":"remove","path":"/spec/template/spec/nodeSelector/nowhere"}]',
    );
    await until(
      "two ztunnels",
      async () => ((await c.cluster.pods("istio-system", "app=ztunnel")).length === 2 ? true : undefined),
      60_000,
    );
    await ready(c, "daemonset/ztunnel");
    for (const t of to) await until("open again", async () => ((await fate(place, t, "x")) === "open" ? true : undefined), 30_000);
  });

  test("no descriptor is kept of connections that are over", { timeout: 60_000 }, async () => {
    const c = ctx();
    const place = await c.place("mesh/client1");
    const host = await c.vip("mesh", "server");
    const uids = (await c.cluster.pods("istio-system", "app=ztunnel")).map((p) => p.metadata.uid ?? "");
    const sockets = (): number => uids.flatMap(pidsOf).reduce((sum, pid) => sum + readdirSync(`/proc/${pid}/fd`).length, 0);
    const burst = async (): Promise<void> => {
      await Promise.all(
        Array.from({ length: 100 }, async () => {
          const socket = await dial(place, { host, port: PORTS.echo }, { deadlineMs: 30_000 });
          socket.write("x.");
          await readUntil(socket, "x.", 30_000);
          socket.destroy();
        }),
      );
    };
    await burst(); // opens the pooled tunnels that stay
    const settled = await until("a baseline", async () => {
      const before = sockets();
      await new Promise((resolve) => setTimeout(resolve, 300));
      return sockets() === before ? before : undefined;
    });
    for (let i = 0; i < 3; i++) await burst();
    await until("back at the baseline", () => (sockets() <= settled + 4 ? true : undefined));
  });

  test("the API server kill -9ed: traffic goes on, it comes back, nothing acknowledged is lost", { timeout: 120_000 }, async () => {
    const c = ctx();
    await c.cluster.kubectl("-n", "mesh", "create", "configmap", "keep", "--from-literal=k=v");
    const [pid] = readdirSync("/proc")
      .filter((p) => /^\d+$/.test(p))
      .map(Number)
      .filter((p) => {
        try {
          return (
            readFileSync(`/proc/${p}/cmdline`, "utf8").includes("apiserver/main.ts") &&
            readFileSync(`/proc/${p}/cgroup`, "utf8").includes(`ambit-${c.cluster.id}`)
          );
        } catch {
          return false; // it ended while we looked
        }
      });
    assert.ok(pid !== undefined, "the API server's process is found");
    const report = await underLoad(await c.place("mesh/client1"), { host: await c.vip("mesh", "server"), port: PORTS.http }, async () => {
      process.kill(pid, "SIGKILL");
      await until(
        "the API server back",
        async () => {
          const r = await c.cluster.kubectlRan(["-n", "mesh", "get", "configmap", "keep", "-o", "jsonpath={.data.k}"]);
          return r.code === 0 && r.stdout === "v" ? true : undefined;
        },
        60_000,
      );
    });
    assert.deepEqual(report.failures, []);
    // The whole chain works again: a new pod is scheduled, started, captured.
    await c.cluster.kubectl("-n", "mesh", "rollout", "restart", "deployment/client2");
    await c.cluster.kubectl("-n", "mesh", "rollout", "status", "deployment/client2", "--timeout=60s");
    await until("captured", async () =>
      (await c.pod("mesh/client2")).metadata.annotations?.["ambient.istio.io/redirection"] === "enabled" ? true : undefined,
    );
  });

  test("the CLI answers its questions", async () => {
    const c = ctx();
    const certificates = await c.cluster.ambit("ztunnel-config", "certificate");
    assert.match(certificates, /spiffe:\/\/cluster\.local\/ns\/mesh\/sa\/server\s+Leaf\s+Available\s+true/);
    assert.match(await c.cluster.ambit("zc", "service", "--service-namespace", "mesh"), /mesh\s+server\s+10\.96\.\S+\s+None\s+2\/2/);
    const socket = await dial(await c.place("mesh/client1"), { host: await c.ip("mesh/server2"), port: PORTS.echo });
    socket.write("hold.");
    await readUntil(socket, "hold.");
    assert.match(await c.cluster.ambit("zc", "connections"), /client1.*Outbound/);
    socket.destroy();
    const wrong = await c.cluster.ambitRan("-n", "mesh", "explain", "nobody", "server:80");
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /^ambit: there is no pod mesh\/nobody/);
  });
};
