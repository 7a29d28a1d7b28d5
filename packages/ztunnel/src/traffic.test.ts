// Do metrics and access log tell of a connection as Istio's ztunnel does?

import assert from "node:assert/strict";
import { test } from "node:test";
import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import { aService, aWorkload, ip } from "@ambit/shared/state/fixtures.ts";
import { identityOf } from "@ambit/shared/state/types.ts";
import { createLogger } from "@ambit/shared/telemetry/log.ts";
import { createMetrics } from "@ambit/shared/telemetry/metrics.ts";
import { createConnectionReports } from "./metrics.ts";
import { TRAFFIC_LABELS, type Traffic, trafficLabels } from "./traffic.ts";

const locality = { region: "r1", zone: "z1", subzone: "" };
const client = aWorkload("client-1", "10.0.0.1", { workloadName: "client", canonicalName: "client", canonicalRevision: "v1", locality });
const server = aWorkload("server-1", "10.0.0.2", { workloadName: "server", canonicalName: "shop", serviceAccount: "server" });

const hbone: Traffic = {
  reporter: "source",
  source: { addr: { ip: ip("10.0.0.1"), port: 1234 }, workload: client, identity: identityOf(client) },
  destination: {
    addr: { ip: ip("10.0.0.2"), port: 15008 },
    hboneAddr: "10.0.0.2:8080",
    workload: server,
    identity: identityOf(server),
    service: aService("s", "10.96.0.1"),
  },
  secured: true,
};
const plain: Traffic = {
  reporter: "destination",
  source: { addr: { ip: ip("1.2.3.4"), port: 5 }, workload: undefined, identity: undefined },
  destination: {
    addr: { ip: ip("10.0.0.2"), port: 8080 },
    hboneAddr: undefined,
    workload: server,
    identity: undefined,
    service: undefined,
  },
  secured: false,
};

const setup = (level = "info") => {
  const lines: string[] = [];
  const metrics = createMetrics();
  const logger = createLogger({ format: "text", level, out: { write: (line) => lines.push(line) }, now: () => 0 });
  let now = 1_000;
  const reports = createConnectionReports(metrics, logger.scope("access"), () => now);
  return {
    reports,
    lines,
    tick: (ms: number) => {
      now += ms;
    },
    text: async () => (await metrics.expose(undefined)).body,
  };
};
const AT = "1970-01-01T00:00:00.000000Z";

test("labels are all there, in Istio's order, and say unknown where nothing is known", () => {
  assert.deepEqual(Object.keys(trafficLabels(hbone, "-")), [...TRAFFIC_LABELS]);
  const labels = trafficLabels(plain, "DENY");
  assert.equal(labels.source_workload, "unknown");
  assert.equal(labels.destination_principal, "unknown");
  assert.equal(labels.connection_security_policy, "unknown");
  assert.equal(labels.response_flags, "DENY");
  assert.equal(trafficLabels(hbone, "-").source_principal, "spiffe://cluster.local/ns/ns/sa/default");
});

test("at the source: received and sent are the client's and the server's bytes, and the line's are the pod's own", async () => {
  const t = setup();
  const record = t.reports.open(hbone, 1_000);
  record.fromClient.add(10);
  record.fromServer.add(300);
  t.tick(12);
  record.end();
  record.end(); // counted once
  assert.deepEqual(t.lines, [
    `${AT}\tinfo\taccess\tconnection complete\tsrc.addr=10.0.0.1:1234 src.workload="client-1" src.namespace="ns" ` +
      `src.identity="spiffe://cluster.local/ns/ns/sa/default" src.cluster="Kubernetes" dst.addr=10.0.0.2:15008 dst.hbone_addr=10.0.0.2:8080 ` +
      `dst.service="s.ns.svc.cluster.local" dst.workload="server-1" dst.namespace="ns" dst.identity="spiffe://cluster.local/ns/ns/sa/server" ` +
      `dst.cluster="Kubernetes" direction="outbound" bytes_sent=10 bytes_recv=300 duration="12ms"\n`,
  ]);
  const text = await t.text();
  const labels =
    'reporter="source",source_workload="client",source_canonical_service="client",source_canonical_revision="v1",source_workload_namespace="ns",' +
    'source_principal="spiffe://cluster.local/ns/ns/sa/default",source_app="client",source_version="v1",source_cluster="Kubernetes",' +
    'destination_service="s.ns.svc.cluster.local",destination_service_namespace="ns",destination_service_name="s",destination_workload="server",' +
    'destination_canonical_service="shop",destination_canonical_revision="latest",destination_workload_namespace="ns",' +
    'destination_principal="spiffe://cluster.local/ns/ns/sa/server",destination_app="shop",destination_version="latest",' +
    'destination_cluster="Kubernetes",request_protocol="tcp",response_flags="-",connection_security_policy="mutual_tls",source_region="r1",' +
    'source_zone="z1",destination_region="unknown",destination_zone="unknown"';
  for (const [name, value] of [
    ["opened", 1],
    ["closed", 1],
  ])
    assert.ok(text.includes(`istio_tcp_connections_${name}_total{${labels}} ${value}\n`), `${name}\n${text}`);
  assert.ok(text.includes(`istio_tcp_received_bytes_total{${labels}} 10\n`));
  assert.ok(text.includes(`istio_tcp_sent_bytes_total{${labels}} 300\n`));
});

test("at the destination a refusal is an error line with its flag, and sent is the server's", async () => {
  const t = setup();
  const record = t.reports.open(plain, 1_000);
  record.fromServer.add(7);
  record.end(new MeshError("DENY", "explicitly denied by: ns/p"));
  assert.deepEqual(t.lines, [
    `${AT}\terror\taccess\tconnection complete\tsrc.addr=1.2.3.4:5 dst.addr=10.0.0.2:8080 dst.workload="server-1" dst.namespace="ns" ` +
      `dst.cluster="Kubernetes" direction="inbound" bytes_sent=7 bytes_recv=0 duration="0ms" error="explicitly denied by: ns/p"\n`,
  ]);
  const text = await t.text();
  assert.match(text, /istio_tcp_connections_failed_total\{reporter="destination",.*response_flags="DENY".*\} 1/);
  assert.match(text, /istio_tcp_connections_opened_total\{.*response_flags="-".*\} 1/);
});

test("an early refusal is a warning without a destination", () => {
  const t = setup();
  const error = new MeshError("UNKNOWN_SOURCE", "not known");
  t.reports.rejected({ from: hbone.source.addr, to: hbone.destination.addr, direction: "outbound", error });
  assert.deepEqual(t.lines, [
    `${AT}\twarn\taccess\tconnection failed\tsrc.addr=10.0.0.1:1234 dst.addr=10.0.0.2:15008 direction="outbound" error="not known"\n`,
  ]);
});

test("the opening is told at debug", () => {
  const t = setup("debug");
  t.reports.open(plain, 1_000);
  assert.match(t.lines[0] ?? "", /\tdebug\taccess\tconnection opened\tsrc.addr=1.2.3.4:5 .*direction="inbound"\n$/);
});
