// L7: a waypoint added under load, routes, policies, protocols, its telemetry, and taken away again.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { dial, fate, http, http2, pourHashed, readAll, readUntil } from "../../world/net.ts";
import { until } from "../../world/until.ts";
import type { Context } from "../context.ts";
import { PORTS, waypointGateway } from "../fixture.ts";
import { killPod } from "../kill.ts";
import { underLoad } from "../load.ts";

const route = (name: string, rules: string): string => `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${name}, namespace: mesh }
spec:
  parentRefs: [{ group: "", kind: Service, name: server, port: ${PORTS.http} }]
  rules:
${rules}`;

const authorization = (name: string, action: string, rules: string): string => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: mesh }
spec:
  targetRefs: [{ group: "", kind: Service, name: server }]
  action: ${action}
  rules: ${rules}
`;

type Echo = { pod: string; version: string; path: string; method: string; headers: Record<string, string>; protocol: string };
const echoOf = (body: string): Echo => JSON.parse(body) as Echo;

/** Whether the waypoint handles the service is seen by its mark on a request: an x-request-id. */
const atWaypoint = async (c: Context, yes: boolean): Promise<true> =>
  until(
    `the service ${yes ? "behind" : "without"} its waypoint`,
    async () => {
      const answer = await c.ask("mesh/client1", { host: await c.vip("mesh", "server"), port: PORTS.http });
      return (echoOf(answer.body).headers["x-request-id"] !== undefined) === yes ? true : undefined;
    },
    60_000,
  );

const metric = async (c: Context, name: string): Promise<string[]> => {
  const [pod] = await c.cluster.pods("mesh", "gateway.networking.k8s.io/gateway-name=waypoint");
  const ip = pod?.status?.podIP ?? "";
  const text = (await http(await c.place("plain/client"), { host: ip, port: 15020 }, { path: "/stats/prometheus" })).body;
  return text.split("\n").filter((l) => l.startsWith(name));
};

export const waypoint = (ctx: () => Context): void => {
  test("added under load: no request fails (TestRemoveAddWaypoint)", { timeout: 120_000 }, async () => {
    const c = ctx();
    const to = { host: await c.vip("mesh", "server"), port: PORTS.http };
    const report = await underLoad(await c.place("mesh/client1"), to, async () => {
      await c.cluster.apply(waypointGateway());
      await c.cluster.kubectl("-n", "mesh", "wait", "--for=condition=Programmed", "gateway/waypoint", "--timeout=60s");
      await c.cluster.kubectl("-n", "mesh", "label", "service", "server", "istio.io/use-waypoint=waypoint");
      await atWaypoint(c, true);
    });
    assert.deepEqual(report.failures, []);
    assert.ok(report.answered > 20, `only ${report.answered} requests were made`);
    const status = await c.cluster.kubectl("-n", "mesh", "get", "service", "server", "-o", "jsonpath={.status.conditions}");
    assert.match(status, /istio\.io\/WaypointBound/);
    assert.match(status, /Successfully attached to waypoint mesh\/waypoint/);
  });

  test("weights, header match, header filters", async () => {
    const c = ctx();
    await c.cluster.apply(
      route(
        "server",
        `    - matches: [{ headers: [{ name: x-version, value: two }] }]
      filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-added, value: "yes" }], remove: [x-version] } }]
      backendRefs: [{ name: server2, port: ${PORTS.http} }]
    - matches: [{ path: { type: PathPrefix, value: /old } }]
      filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: /new } } }]
      backendRefs: [{ name: server1, port: ${PORTS.http} }]
    - matches: [{ path: { type: PathPrefix, value: /gone } }]
      filters: [{ type: RequestRedirect, requestRedirect: { hostname: example.org, statusCode: 301 } }]
    - matches: [{ path: { type: PathPrefix, value: /slow } }]
      timeouts: { request: 300ms }
      backendRefs: [{ name: server1, port: ${PORTS.http} }]
    - matches: [{ path: { type: PathPrefix, value: /broken } }]
      backendRefs: [{ name: nowhere, port: 80 }]
    - matches: [{ path: { type: PathPrefix, value: / }, queryParams: [{ name: q, value: one }] }, { path: { type: PathPrefix, value: / } }]
      backendRefs: [{ name: server1, port: ${PORTS.http}, weight: 80 }, { name: server2, port: ${PORTS.http}, weight: 20 }]
`,
      ),
    );
    const to = { host: await c.vip("mesh", "server"), port: PORTS.http };
    const ask = (path: string, headers: Record<string, string> = {}) => c.ask("mesh/client1", to, { path, headers });
    await until("the header route", async () =>
      echoOf((await ask("/", { "x-version": "two" })).body).headers["x-added"] === "yes" ? true : undefined,
    );
    const two = echoOf((await ask("/", { "x-version": "two" })).body);
    assert.equal(two.version, "v2");
    assert.equal(two.headers["x-version"], undefined);
    assert.equal(echoOf((await ask("/old/thing?x=1")).body).path, "/new/thing?x=1");
    const gone = await ask("/gone/x");
    assert.equal(gone.status, 301);
    assert.match(String(gone.headers.location), /^http:\/\/example\.org(:8080)?\/gone\/x$/);
    assert.equal((await ask("/slow?ms=5000")).status, 504);
    assert.equal((await ask("/broken")).status, 500);
    const versions = await Promise.all(Array.from({ length: 300 }, async () => echoOf((await ask("/")).body).version));
    const second = versions.filter((v) => v === "v2").length;
    assert.ok(second >= 25 && second <= 95, `${second} of 300 went to v2; 60 were expected`);
  });

  test("HTTP/2 with prior knowledge, and opaque TCP with half-close, through the waypoint", async () => {
    const c = ctx();
    const host = await c.vip("mesh", "server");
    const session = await http2(await c.place("mesh/client1"), { host, port: PORTS.h2c });
    const answers = await Promise.all(
      Array.from(
        { length: 20 },
        (_, i) =>
          new Promise<Echo>((resolve, reject) => {
            const stream = session.request({ ":path": `/h2/${i}` });
            let body = "";
            stream.setEncoding("utf8").on("data", (d: string) => {
              body += d;
            });
            stream.on("error", reject).on("end", () => resolve(echoOf(body)));
          }),
      ),
    );
    session.destroy();
    assert.ok(answers.every((a, i) => a.path === `/h2/${i}` && a.protocol === "2.0"));
    assert.equal(new Set(answers.map((a) => a.pod)).size, 2, "one connection spreads over the pods (TestServerSideLB)");
    const socket = await dial(await c.place("mesh/client1"), { host, port: PORTS.hash });
    const sent = await pourHashed(socket, 5_000_000);
    assert.equal(String(await readAll(socket)).trim(), sent);
    const greeting = await dial(await c.place("mesh/client1"), { host, port: PORTS.greet });
    assert.match(await readUntil(greeting, "\r\n"), /^220/);
    greeting.destroy();
  });

  test("a large body arrives whole", async () => {
    const c = ctx();
    const body = "0123456789abcdef".repeat(500_000);
    const answer = await c.ask(
      "mesh/client1",
      { host: await c.vip("mesh", "server"), port: PORTS.http },
      { method: "POST", path: "/hash", body },
    );
    assert.equal(answer.body, createHash("sha256").update(body).digest("hex"));
  });

  test("L7 policy: methods, paths, principals (TestAuthorizationL7)", async () => {
    const c = ctx();
    const to = { host: await c.vip("mesh", "server"), port: PORTS.http };
    await c.cluster.apply(
      authorization(
        "readers",
        "ALLOW",
        `[{ from: [{ source: { principals: ["cluster.local/ns/mesh/sa/client"] } }], to: [{ operation: { methods: [GET], paths: ["/public/*"] } }] }]`,
      ),
    );
    await until("other paths refused", async () =>
      (await c.ask("mesh/client1", to, { path: "/private" })).status === 403 ? true : undefined,
    );
    const status = async (from: string, method: string, path: string): Promise<number> => (await c.ask(from, to, { method, path })).status;
    assert.equal(await status("mesh/client1", "GET", "/public/x"), 200);
    assert.equal(await status("mesh/client1", "DELETE", "/public/x"), 403);
    assert.equal(await status("mesh/client1", "GET", "/public/../private"), 403, "paths are normalised before they are matched");
    assert.equal(await status("mesh/other", "GET", "/public/x"), 403);
    const refused = await c.ask("mesh/other", to, { path: "/public/x" });
    assert.equal(refused.body, "RBAC: access denied");
    await c.cluster.apply(authorization("readers", "ALLOW", `[{ when: [{ key: "request.headers[x-token]", values: ["sesame"] }] }]`));
    await until("the header rule", async () =>
      (await c.ask("mesh/other", to, { headers: { "x-token": "sesame" } })).status === 200 ? true : undefined,
    );
    assert.equal((await c.ask("mesh/other", to, { headers: { "x-token": "wrong" } })).status, 403);
  });

  test("ambit explain names route, rule and verdict", async () => {
    const c = ctx();
    const text = await c.cluster.ambit("-n", "mesh", "explain", "other", `server:${PORTS.http}`, "--path", "/private");
    for (const said of [
      /captured: its namespace has the label istio\.io\/dataplane-mode=ambient/,
      /identity spiffe:\/\/cluster\.local\/ns\/mesh\/sa\/other/,
      /is a service \(mesh\/server\.mesh\.svc\.cluster\.local\)/,
      /decision HBONE by the service's waypoint/,
      /expects {2}spiffe:\/\/cluster\.local\/ns\/mesh\/sa\/waypoint/,
      /→ route HTTPRoute\/mesh\/server \S+: the first rule that matches/,
      /policy {3}ALLOW mesh\/readers: no rule of 1 matches/,
      /verdict {2}allow policies exist, but none allowed: mesh\/readers/,
      /endpoint mesh\/server[12]-\S+ \(10\.244/,
      /expects {2}spiffe:\/\/cluster\.local\/ns\/mesh\/sa\/server/,
      /outcome {2}403/,
    ])
      assert.match(text, said);
    const allowed = await c.cluster.ambit("-n", "mesh", "explain", "other", `server:${PORTS.http}`, "--header", "x-token: sesame");
    assert.match(allowed, /ALLOW mesh\/readers: rule 0 matches/);
    assert.match(allowed, /Arrival at mesh\/server[12]-/);
    await c.cluster.kubectl("-n", "mesh", "delete", "authorizationpolicy", "readers");
  });

  test("a policy the waypoint cannot honour denies, and says so (fail closed)", async () => {
    const c = ctx();
    const to = { host: await c.vip("mesh", "server"), port: PORTS.http };
    await until("open before", async () => ((await c.ask("mesh/client1", to)).status === 200 ? true : undefined));
    await c.cluster.apply(authorization("odd", "DENY", `[{ when: [{ key: "experimental.envoy.filters.x[y]", values: ["z"] }] }]`));
    await until("everything refused", async () => ((await c.ask("mesh/client1", to)).status === 403 ? true : undefined));
    const status = await until("a condition", async () => {
      const text = await c.cluster.kubectl("-n", "mesh", "get", "authorizationpolicy", "odd", "-o", "jsonpath={.status.conditions}");
      return /WaypointAccepted/.test(text) ? text : undefined;
    });
    assert.match(status, /experimental\.envoy/);
    await c.cluster.kubectl("-n", "mesh", "delete", "authorizationpolicy", "odd");
    await until("open again", async () => ((await c.ask("mesh/client1", to)).status === 200 ? true : undefined));
  });

  test("metrics carry Istio's names and labels", async () => {
    const lines = await metric(ctx(), "istio_requests_total");
    const ok = lines.find(
      (l) => l.includes('response_code="200"') && l.includes('source_principal="spiffe://cluster.local/ns/mesh/sa/client"'),
    );
    assert.ok(ok !== undefined, lines.join("\n"));
    assert.match(ok, /reporter="waypoint"/);
    assert.match(ok, /destination_service="server\.mesh\.svc\.cluster\.local"/);
    assert.match(ok, /destination_principal="spiffe:\/\/cluster\.local\/ns\/mesh\/sa\/server"/);
    assert.match(ok, /connection_security_policy="mutual_tls"/);
    assert.match(ok, /response_flags="-"/);
    assert.ok((await metric(ctx(), "istio_request_duration_milliseconds_bucket")).length > 0);
    assert.ok((await metric(ctx(), "istio_tcp_connections_opened_total")).length > 0);
  });

  test("ambit waypoint list, generate and delete", async () => {
    const c = ctx();
    assert.match(
      await c.cluster.ambit("-n", "mesh", "waypoint", "list"),
      /NAME\s+REVISION\s+TRAFFIC TYPE\s+PROGRAMMED\nwaypoint\s+default\s+service\s+True/,
    );
    const yaml = await c.cluster.ambit("-n", "mesh", "waypoint", "generate", "--name", "second", "--for", "all");
    assert.match(yaml, /istio\.io\/waypoint-for: all/);
    await c.cluster.apply(yaml);
    assert.match(await c.cluster.ambit("waypoint", "list", "-A"), /mesh\s+second\s+default\s+all/);
    assert.match(await c.cluster.ambit("-n", "mesh", "waypoint", "delete", "second"), /waypoint mesh\/second deleted/);
    const missing = await c.cluster.ambitRan("-n", "mesh", "waypoint", "delete", "second");
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /there is no waypoint mesh\/second/);
  });

  test("TestDirect: a waypoint serves only what it owns", async () => {
    const c = ctx();
    // A pod IP goes straight to the pod: the waypoint is for services.
    const direct = await c.ask("mesh/client1", { host: await c.ip("mesh/server1"), port: PORTS.http });
    assert.equal(echoOf(direct.body).headers["x-request-id"], undefined);
    const end = await fate(await c.place("mesh/client1"), { host: await c.vip("mesh", "server"), port: 4444 }, "x");
    assert.match(end, /reset|closed|refused/);
  });

  test("with a policy attached, a waypoint that goes closes its service: nothing goes by it, in the mesh or in plaintext", {
    timeout: 180_000,
  }, async () => {
    const c = ctx();
    const to = { host: await c.vip("mesh", "server"), port: PORTS.http };
    const pod = { host: await c.ip("mesh/server1"), port: PORTS.http };
    const plaintext = async (): Promise<number | "refused"> =>
      c.ask("plain/client", pod).then(
        (answer) => answer.status,
        () => "refused",
      );
    assert.equal(await plaintext(), 200, "without a policy plaintext is taken, as in Istio");
    await c.cluster.apply(
      authorization("members", "ALLOW", `[{ from: [{ source: { principals: ["cluster.local/ns/mesh/sa/client"] } }] }]`),
    );
    await until("the policy in force", async () => ((await c.ask("mesh/other", to)).status === 403 ? true : undefined));
    // Sent through the waypoint, where it is nobody: the policy asks for somebody.
    await until("plaintext under the policy", async () => ((await plaintext()) === 403 ? true : undefined));

    await c.cluster.kubectl("-n", "mesh", "delete", "gateway", "waypoint");
    await until(
      "the service closed",
      async () => {
        const answer = await c.ask("mesh/client1", to).catch(() => undefined);
        if (answer === undefined) return true;
        assert.ok(answer.status !== 200 || echoOf(answer.body).headers["x-request-id"] !== undefined, "a request went by the waypoint");
        return undefined;
      },
      60_000,
    );
    for (let i = 0; i < 10; i++) await assert.rejects(c.ask("mesh/client1", to));
    assert.equal(await plaintext(), "refused");
    const status = await c.cluster.kubectl("-n", "mesh", "get", "service", "server", "-o", "jsonpath={.status.conditions}");
    assert.match(status, /Traffic to this service is refused until then, because AuthorizationPolicy mesh\/members is attached to it/);
    const why = await c.cluster.ambitRan("-n", "mesh", "explain", "other", `server:${PORTS.http}`);
    assert.match(why.stdout, /is reached through its waypoint only: waypoint mesh\/waypoint does not exist/);

    await c.cluster.kubectl("-n", "mesh", "delete", "authorizationpolicy", "members");
    await atWaypoint(c, false);
    await until("plaintext taken again", async () => ((await plaintext()) === 200 ? true : undefined));
    await c.cluster.apply(waypointGateway());
    await c.cluster.kubectl("-n", "mesh", "wait", "--for=condition=Programmed", "gateway/waypoint", "--timeout=60s");
    await atWaypoint(c, true);
  });

  test("killed and back: requests go on after it, and none goes by it meanwhile", { timeout: 120_000 }, async () => {
    const c = ctx();
    const to = { host: await c.vip("mesh", "server"), port: PORTS.http };
    await killPod(c, "mesh", "gateway.networking.k8s.io/gateway-name=waypoint");
    const whileDead = await c.ask("mesh/client1", to).then(
      (answer) => echoOf(answer.body).headers["x-request-id"] !== undefined,
      () => true, // refused: that is what it should be while its waypoint is away
    );
    assert.ok(whileDead, "a request went by the waypoint that was down");
    await until(
      "an answer through the new waypoint",
      async () => {
        const answer = await c.ask("mesh/client1", to, {});
        return answer.status === 200 && echoOf(answer.body).headers["x-request-id"] !== undefined ? true : undefined;
      },
      60_000,
    );
  });

  test("removed under load: no request fails", { timeout: 120_000 }, async () => {
    const c = ctx();
    const to = { host: await c.vip("mesh", "server"), port: PORTS.http };
    await c.cluster.kubectl("-n", "mesh", "delete", "httproute", "server");
    await until("plain forwarding again", async () =>
      (await c.ask("mesh/client1", to, { path: "/broken" })).status === 200 ? true : undefined,
    );
    const report = await underLoad(await c.place("mesh/client1"), to, async () => {
      await c.cluster.kubectl("-n", "mesh", "label", "service", "server", "istio.io/use-waypoint-");
      await atWaypoint(c, false);
      await c.cluster.kubectl("-n", "mesh", "delete", "gateway", "waypoint");
      await until(
        "the waypoint's pods gone",
        async () => ((await c.cluster.pods("mesh", "gateway.networking.k8s.io/gateway-name=waypoint")).length === 0 ? true : undefined),
        60_000,
      );
    });
    assert.deepEqual(report.failures, []);
  });
};
