// Is the protocol of a Service port read the same way for ztunnel and for waypoints?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ServicePort } from "@ambit/shared/kube/objects/core.ts";
import { appProtocolOf, protocolWord, waypointProtocol } from "./protocols.ts";

const protocols: readonly (readonly [Partial<ServicePort>, string, string])[] = [
  [{ name: "http" }, "HTTP11", "HTTP"],
  [{ name: "http-web" }, "HTTP11", "HTTP"],
  [{ name: "http2-web" }, "HTTP2", "HTTP2"],
  [{ name: "grpc" }, "GRPC", "GRPC"],
  [{ name: "grpc-web-x" }, "HTTP11", "HTTP"],
  [{ name: "tcp-db" }, "TCP", "TCP"],
  [{ name: "mysql" }, "TCP", "TCP"],
  [{ name: "https" }, "TLS", "TLS"],
  [{ name: "main" }, "UNKNOWN", "AUTO"],
  [{ name: "constructor" }, "UNKNOWN", "AUTO"],
  [{ name: "http", appProtocol: "kubernetes.io/h2c" }, "HTTP2", "HTTP2"],
  [{ name: "tcp", appProtocol: "kubernetes.io/ws" }, "HTTP11", "HTTP"],
  [{ name: "x", appProtocol: "kubernetes.io/wss" }, "TLS", "TLS"],
  [{ name: "x", port: 3306 }, "TCP", "TCP"],
  [{ port: 53 }, "TCP", "TCP"],
  [{ name: "udp-dns", port: 53 }, "UNKNOWN", "AUTO"],
  [{ name: "http", port: 3306 }, "HTTP11", "HTTP"],
];
for (const [p, app, waypoint] of protocols)
  test(`protocol of ${JSON.stringify(p)}`, () => {
    const port = { port: 80, ...p };
    assert.deepEqual([appProtocolOf(port), waypointProtocol(protocolWord(port))], [app, waypoint]);
  });
