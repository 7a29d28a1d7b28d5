// Does the access log read as Istio's, with nothing that breaks a line?

import assert from "node:assert/strict";
import { test } from "node:test";
import { accessJson, accessText } from "./access-line.ts";
import type { RequestRecord } from "./record.ts";

const record: RequestRecord = {
  startedAt: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  durationMs: 12.4,
  method: "GET",
  path: "/a?b",
  protocol: "HTTP/1.1",
  grpc: false,
  authority: "reviews",
  status: 200,
  grpcStatus: "",
  flags: "-",
  details: "via_upstream",
  upstreamFailure: "",
  received: 0,
  sent: 5,
  receivedWire: 40,
  sentWire: 60,
  upstreamMs: 11.6,
  forwardedFor: "10.244.1.7",
  userAgent: 'curl "8"\n',
  requestId: "id",
  route: "HTTPRoute/shop/reviews/0",
  upstreamHost: "10.244.1.5:8080",
  cluster: "inbound-vip|80|http|reviews.shop.svc.cluster.local",
  source: "10.244.1.7:40000",
  destination: "10.96.0.50:80",
};

test("Istio's text format, with what would break the line escaped", () => {
  assert.equal(
    accessText(record),
    '[2026-01-02T03:04:05.006Z] "GET /a?b HTTP/1.1" 200 - via_upstream - "-" 0 5 12 12 "10.244.1.7" "curl \\x228\\x22\\x0a" "id" "reviews" "10.244.1.5:8080" inbound-vip|80|http|reviews.shop.svc.cluster.local - 10.96.0.50:80 10.244.1.7:40000 - HTTPRoute/shop/reviews/0\n',
  );
});

test("Istio's JSON keys", () => {
  const line = JSON.parse(accessJson(record));
  assert.deepEqual(
    [line.start_time, line.response_code, line.duration, line.upstream_service_time, line.user_agent, line.requested_server_name],
    ["2026-01-02T03:04:05.006Z", 200, 12, "12", 'curl "8"\n', null],
  );
});
