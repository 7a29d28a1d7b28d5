// Are a server's failures to start told in a sentence, and are statuses read rightly?

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { Metadata, status } from "@grpc/grpc-js";
import { serveGrpc } from "./serve.ts";
import { describeCall, isRoutine } from "./status.ts";

test("a port in use", { timeout: 5000 }, async (t) => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  t.after(() => other.close());
  const { port } = other.address() as { port: number };
  await assert.rejects(
    serveGrpc({ bind: `127.0.0.1:${port}`, services: [] }),
    new RegExp(`cannot listen on 127.0.0.1:${port}: .*EADDRINUSE`),
  );
});

test("a certificate that is none", { timeout: 5000 }, async () => {
  const tls = { current: () => ({ certPem: "x", keyPem: "y" }), onRenew: () => () => undefined };
  await assert.rejects(serveGrpc({ bind: "127.0.0.1:0", tls, services: [] }));
});

test("a server drains at once when there is nothing to wait for", { timeout: 5000 }, async () => {
  const server = await serveGrpc({ bind: "127.0.0.1:0", services: [] });
  assert.ok(server.port > 0);
  await server.drain(5000);
});

const failed = (code: status, details: string) => Object.assign(new Error("x"), { code, details, metadata: new Metadata() });
test("statuses", () => {
  assert.equal(describeCall(failed(status.UNAVAILABLE, "no connection")), "UNAVAILABLE: no connection");
  assert.equal(describeCall(new Error("plain")), "plain");
  assert.equal(describeCall("text"), "text");
  assert.equal(isRoutine(failed(status.CANCELLED, "")), true);
  assert.equal(isRoutine(failed(status.UNAVAILABLE, "Received GOAWAY")), true);
  assert.equal(isRoutine(failed(status.UNAVAILABLE, "No connection established")), false);
  assert.equal(isRoutine(failed(status.UNAUTHENTICATED, "")), false);
  assert.equal(isRoutine(new Error("x")), false);
});
