// Who counts and logs what passes? (istio_requests_total and friends, istio_tcp_*, the access log)

import { identityOf, serviceKey } from "@ambit/shared/state/types.ts";
import type { MeshView } from "@ambit/shared/state/view.ts";
import type { LogOutput } from "@ambit/shared/telemetry/log.ts";
import type { Metrics } from "@ambit/shared/telemetry/metrics.ts";
import type { Addressed, Connection, Upstream } from "../http/context.ts";
import type { RequestObserver } from "../http/layers/access-log.ts";
import type { TcpObserver, TcpReport } from "../tcp/serve.ts";
import { accessJson, accessText } from "./access-line.ts";
import { HTTP_LABELS, type HttpLabel, httpLabels, TCP_LABELS, type TrafficEnds, tcpLabels } from "./labels.ts";
import { recordOf } from "./record.ts";

export type Telemetry = {
  readonly observeRequest: RequestObserver;
  readonly observeTcp: TcpObserver;
  /** Adds what live opaque connections have carried since the last call. */
  flush(): void;
};

export type TelemetryDeps = {
  readonly metrics: Metrics;
  readonly view: Pick<MeshView, "workloadByAddress" | "service">;
  readonly network: string;
  readonly accessLog: "text" | "json" | "off";
  readonly out: LogOutput;
};

/** Envoy's default (histogram_impl.cc). */
const BUCKETS = [0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000];

const families = (m: Metrics) => {
  const histogram = (name: string, help: string) => m.histogram<HttpLabel>({ name, help, labels: HTTP_LABELS, buckets: BUCKETS });
  const tcp = (name: string, help: string) => m.counter({ name, help, labels: TCP_LABELS });
  return {
    requests: m.counter<HttpLabel>({ name: "istio_requests_total", help: "The total number of requests.", labels: HTTP_LABELS }),
    duration: histogram("istio_request_duration_milliseconds", "The time a request took, in milliseconds."),
    requestBytes: histogram("istio_request_bytes", "The size of requests, heads included."),
    responseBytes: histogram("istio_response_bytes", "The size of responses, heads included."),
    opened: tcp("istio_tcp_connections_opened_total", "The total number of TCP connections opened."),
    closed: tcp("istio_tcp_connections_closed_total", "The total number of TCP connections closed."),
    received: tcp("istio_tcp_received_bytes_total", "The total bytes received from the client."),
    sent: tcp("istio_tcp_sent_bytes_total", "The total bytes sent to the client."),
  };
};

type Counted = { received: number; sent: number };

export const createTelemetry = (d: TelemetryDeps): Telemetry => {
  const f = families(d.metrics);
  const live = new Map<TcpReport, Counted>();
  const line = d.accessLog === "json" ? accessJson : accessText;

  const endsOf = (c: Connection, a: Addressed, u: Upstream | TcpReport["upstream"]): TrafficEnds => {
    const service = u?.service ?? a.service;
    const name = d.view.service(serviceKey(service))?.name ?? (service.hostname === a.service.hostname ? a.service.name : "");
    const source = d.view.workloadByAddress(d.network, c.source.ip);
    return {
      peer: c.peer,
      // An address may have a new owner already; the certificate says whose connection this is.
      source: source !== undefined && (c.peer === undefined || identityOf(source).uri === c.peer.uri) ? source : undefined,
      destination: u?.workload,
      service: { namespace: service.namespace, hostname: service.hostname, name },
    };
  };
  const count = (r: TcpReport, before: Counted): void => {
    const labels = tcpLabels(endsOf(r.connection, r.addressed, r.upstream), "-");
    f.received.with(labels).add(r.received - before.received);
    f.sent.with(labels).add(r.sent - before.sent);
    before.received = r.received;
    before.sent = r.sent;
  };
  return {
    observeRequest: (ctx, end, endedAt) => {
      const record = recordOf(ctx, end, endedAt);
      const labels = httpLabels(endsOf(ctx.connection, ctx.addressed, ctx.report.upstream), record);
      f.requests.with(labels).add();
      f.duration.with(labels).observe(record.durationMs);
      f.requestBytes.with(labels).observe(record.receivedWire);
      f.responseBytes.with(labels).observe(record.sentWire);
      if (d.accessLog !== "off") d.out.write(line(record));
    },
    observeTcp: {
      opened: (r) => {
        live.set(r, { received: 0, sent: 0 });
        f.opened.with(tcpLabels(endsOf(r.connection, r.addressed, r.upstream), "-")).add();
      },
      closed: (r) => {
        const before = live.get(r);
        live.delete(r);
        if (before !== undefined) count(r, before);
        f.closed.with(tcpLabels(endsOf(r.connection, r.addressed, r.upstream), r.failure?.rescue.l7Flag ?? "-")).add();
      },
    },
    flush: () => {
      for (const [r, before] of live) if (r.received !== before.received || r.sent !== before.sent) count(r, before);
    },
  };
};
