// Rollouts of ztunnel itself and of applications, under load: does anybody notice?
import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request } from "node:http";
import type { Socket } from "node:net";
import { test } from "node:test";
import { dial, http, type Place, readUntil, type To } from "../../world/net.ts";
import { until } from "../../world/until.ts";
import type { Context } from "../context.ts";
import { PORTS } from "../fixture.ts";

/** Requests a second. */
const RATE = 50;
const NAME = "rolling";

const deployment = (lingerMs: number): string => `apiVersion: apps/v1
kind: Deployment
metadata: { name: ${NAME}, namespace: mesh }
spec:
  replicas: 3
  selector: { matchLabels: { app: ${NAME} } }
  template:
    metadata: { labels: { app: ${NAME}, version: v1 } }
    spec:
      serviceAccountName: server
      terminationGracePeriodSeconds: 5
      containers:
        - name: app
          image: ambit/app-echo:dev
          env:
            - { name: LINGER_MS, value: "${lingerMs}" }
            - { name: POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
          readinessProbe: { httpGet: { path: /ready, port: 8080 }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: ${NAME}, namespace: mesh }
spec:
  selector: { app: ${NAME} }
  ports: [{ name: http, port: ${PORTS.http}, appProtocol: http }]
`;

type Report = { answered: number; readonly failures: string[]; readonly pods: Set<string> };

/** RATE requests a second, whether the ones before are answered or not, from before the change until after it. */
const atSteadyRate = async (ask: () => Promise<string>, change: () => Promise<void>): Promise<Report> => {
  const report: Report = { answered: 0, failures: [], pods: new Set() };
  const open = new Set<Promise<void>>();
  const began = performance.now();
  const timer = setInterval(() => {
    const at = Math.round(performance.now() - began);
    const one = ask().then(
      (pod) => {
        report.answered++;
        report.pods.add(pod);
      },
      (e: unknown) => {
        const took = Math.round(performance.now() - began - at);
        report.failures.push(`at ${at} ms, after ${took} ms: ${e instanceof Error ? e.message : String(e)}`);
      },
    );
    open.add(one);
    void one.finally(() => open.delete(one));
  }, 1000 / RATE);
  try {
    await change();
  } finally {
    clearInterval(timer);
    await Promise.all(open);
  }
  return report;
};

/** A new TCP connection for each request. */
const asking = (place: Place, to: To) => async (): Promise<string> => {
  const answer = await http(place, to);
  if (answer.status !== 200) throw new Error(`status ${answer.status}`);
  return String(answer.headers["x-pod"]);
};

/** Connections that are kept and used again, as an HTTP client of today does. */
const askingKept = (place: Place, to: To): { ask: () => Promise<string>; close(): void } => {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  // The agent takes the socket that is given later: it is dialled in the pod's namespace first.
  agent.createConnection = (_options, done) => {
    dial(place, to).then(
      (socket) => done?.(null, socket),
      (e: Error) => done?.(e, undefined as never),
    );
    return undefined as never;
  };
  const ask = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const req = request({ agent, host: to.host, port: to.port, path: "/" }, (res) => {
        res.resume();
        res.on("error", reject);
        res.on("end", () =>
          res.statusCode === 200 ? resolve(String(res.headers["x-pod"])) : reject(new Error(`status ${res.statusCode}`)),
        );
      });
      req.setTimeout(20_000, () => req.destroy(new Error("no answer within 20 s")));
      req.on("error", reject);
      req.end();
    });
  return { ask, close: () => agent.destroy() };
};

export const rollout = (ctx: () => Context): void => {
  const roll = async (c: Context): Promise<void> => {
    await c.cluster.kubectl("-n", "mesh", "rollout", "restart", `deployment/${NAME}`);
    await c.cluster.kubectl("-n", "mesh", "rollout", "status", `deployment/${NAME}`, "--timeout=90s");
    await until("the old pods gone", async () => ((await c.cluster.pods("mesh", `app=${NAME}`)).length === 3 ? true : undefined), 60_000);
  };
  const ready = async (c: Context, lingerMs: number): Promise<To> => {
    await c.cluster.apply(deployment(lingerMs));
    await c.cluster.kubectl("-n", "mesh", "rollout", "status", `deployment/${NAME}`, "--timeout=90s");
    await until("captured", async () =>
      (await c.cluster.pods("mesh", `app=${NAME}`)).every((p) => p.metadata.annotations?.["ambient.istio.io/redirection"] === "enabled")
        ? true
        : undefined,
    );
    return { host: await c.vip("mesh", NAME), port: PORTS.http };
  };

  test("an application is rolled out at 50 requests a second, each on a connection of its own: none fails", {
    timeout: 180_000,
  }, async () => {
    const c = ctx();
    const to = await ready(c, 1_500);
    const report = await atSteadyRate(asking(await c.place("mesh/client1"), to), () => roll(c));
    assert.deepEqual(report.failures, []);
    assert.ok(report.answered > 100 && report.pods.size > 3, `${report.answered} answers of ${[...report.pods].join(", ")}`);
  });

  test("the same on connections that are kept alive", { timeout: 180_000 }, async () => {
    const c = ctx();
    const to = await ready(c, 1_500);
    const kept = askingKept(await c.place("mesh/client1"), to);
    try {
      const report = await atSteadyRate(kept.ask, () => roll(c));
      assert.deepEqual(report.failures, []);
      // Few connections carry them all, so not every pod need be asked; but some before and some after.
      const generations = new Set([...report.pods].map((pod) => pod.split("-").slice(0, -1).join("-")));
      assert.equal(generations.size, 2, `answers of ${[...report.pods].join(", ")}`);
    } finally {
      kept.close();
    }
  });

  test("kubectl rollout restart daemonset/ztunnel under load: no new connection fails, open ones live on through the grace period", {
    timeout: 240_000,
  }, async () => {
    const c = ctx();
    const place = await c.place("mesh/client1");
    const [vip, ip] = [await c.vip("mesh", "server"), await c.ip("mesh/server2")];
    const names = async (): Promise<string[]> => (await c.cluster.pods("istio-system", "app=ztunnel")).map((p) => p.metadata.name);
    const before = await names();
    const long: Socket[] = await Promise.all([dial(place, { host: vip, port: PORTS.echo }), dial(place, { host: ip, port: PORTS.echo })]);
    const alive = async (text: string): Promise<void> => {
      for (const s of long) {
        s.write(`${text}.`);
        assert.match(await readUntil(s, `${text}.`), new RegExp(text));
      }
    };
    await alive("before");
    const closed = Promise.race(
      long.map((s) =>
        once(s, "close").then(
          () => performance.now(),
          () => performance.now(),
        ),
      ),
    );
    let began = 0;
    const plain = await c.place("plain/client");
    const [captured, uncaptured] = [asking(place, { host: vip, port: PORTS.http }), asking(plain, { host: ip, port: PORTS.http })];
    let turn = 0;
    const report = await atSteadyRate(
      () => (turn++ % 3 === 0 ? uncaptured() : captured()),
      async () => {
        began = performance.now();
        await c.cluster.kubectl("-n", "istio-system", "rollout", "restart", "daemonset/ztunnel");
        await c.cluster.kubectl("-n", "istio-system", "rollout", "status", "daemonset/ztunnel", "--timeout=120s");
        await alive("while the old ones drain");
        await until("the old ztunnels gone", async () => ((await names()).every((n) => !before.includes(n)) ? true : undefined), 90_000);
      },
    );
    assert.deepEqual(report.failures, []);
    assert.ok(report.answered > RATE * 10, `${report.answered} answers`);
    // Istio's rule: the grace period of 30 s less 5 s to end in.
    assert.ok((await closed) - began >= 24_000, `closed after ${Math.round((await closed) - began)} ms`);
    for (const s of long) s.destroy();
  });
};
