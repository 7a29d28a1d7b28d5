// What is counted of DNS? (istio_dns_*, ambient-l4 section 6.1)

import { known } from "@ambit/shared/proxy/labels.ts";
import type { Workload } from "@ambit/shared/state/types.ts";
import type { Metrics } from "@ambit/shared/telemetry/metrics.ts";
import type { DnsProtocol } from "./client.ts";
import { typeName } from "./message.ts";

export const DNS_LABELS = ["request_query_type", "request_protocol", "source_canonical_service", "source_canonical_revision"] as const;
export type DnsLabels = Readonly<Record<(typeof DNS_LABELS)[number], string>>;

export type DnsReports = {
  request(labels: DnsLabels): void;
  /** A request that was asked of a nameserver: how long that took, and whether there was no answer to give. */
  forwarded(labels: DnsLabels, outcome: { readonly seconds: number; readonly failed: boolean }): void;
};

/** Who asked for what; `client` is undefined while it is not known. */
export const dnsLabels = (
  asked: { readonly type: number; readonly protocol: DnsProtocol },
  client: Pick<Workload, "canonicalName" | "canonicalRevision"> | undefined,
): DnsLabels => ({
  request_query_type: typeName(asked.type).toLowerCase(),
  request_protocol: asked.protocol,
  source_canonical_service: known(client?.canonicalName),
  source_canonical_revision: known(client?.canonicalRevision),
});

export const createDnsReports = (metrics: Pick<Metrics, "counter" | "histogram">): DnsReports => {
  const labels = DNS_LABELS;
  const requests = metrics.counter({ name: "istio_dns_requests_total", help: "Total number of DNS requests.", labels });
  const upstream = metrics.counter({
    name: "istio_dns_upstream_requests_total",
    help: "Total number of DNS requests forwarded to upstream.",
    labels,
  });
  const failures = metrics.counter({
    name: "istio_dns_upstream_failures_total",
    help: "Total number of DNS requests that failed to forward upstream.",
    labels,
  });
  const duration = metrics.histogram({
    name: "istio_dns_upstream_request_duration_seconds",
    help: "Total time in seconds to get a DNS response from upstream.",
    labels,
    buckets: [0.0005, 0.001, 0.01, 0.1, 1, 5],
  });
  return {
    request: (l) => requests.with(l).add(),
    forwarded: (l, { seconds, failed }) => {
      upstream.with(l).add();
      duration.with(l).observe(seconds);
      if (failed) failures.with(l).add();
    },
  };
};
