// Do the operator's small servers route, refuse and report?

import assert from "node:assert/strict";
import { test } from "node:test";
import { err, ok } from "../runtime/result.ts";
import { createMetrics } from "../telemetry/metrics.ts";
import { serveMetrics } from "../telemetry/server.ts";
import { serveReadiness } from "./readiness.ts";
import { AdminError, readParam, requiredParam, serveAdmin } from "./server.ts";

test("the admin server routes by path and method, and tells mistakes in a sentence", async () => {
  await using server = await serveAdmin(0, {
    "/config_dump": { about: "everything", handle: () => ({ json: { a: 1 } }) },
    "/logging": { about: "levels", methods: ["POST"], handle: (r) => ({ text: requiredParam(r, "level") }) },
    "/late": { about: "fails later", handle: async () => Promise.reject(new AdminError(409, "not now")) },
    "/broken": {
      about: "throws",
      handle: () => {
        throw new Error("boom");
      },
    },
  });
  const ask = async (path: string, method = "GET") => {
    const r = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
    return [r.status, (await r.text()).trim()];
  };
  assert.deepEqual(await ask("/config_dump"), [200, '{\n  "a": 1\n}']);
  assert.deepEqual(await ask("/logging?level=debug", "POST"), [200, "debug"]);
  assert.deepEqual(await ask("/logging", "POST"), [400, 'the query parameter "level" is missing']);
  assert.deepEqual(await ask("/logging"), [405, "/logging wants POST, not GET"]);
  assert.deepEqual(await ask("/nothing"), [404, "there is nothing at /nothing; / lists what there is"]);
  assert.deepEqual(await ask("/constructor"), [404, "there is nothing at /constructor; / lists what there is"]);
  assert.deepEqual(await ask("/late"), [409, "not now"]);
  assert.deepEqual(await ask("/broken"), [500, "boom"]);
  assert.match(String((await ask("/"))[1]), /^\/config_dump \(GET\): everything$/m);
});

test("a parameter that cannot be read is the caller's mistake", () => {
  assert.equal(readParam("port", ok(80)), 80);
  assert.throws(
    () => readParam("port", err("want a number")),
    (e) => e instanceof AdminError && e.status === 400 && e.message === "port: want a number",
  );
});

test("a taken port is one sentence", async () => {
  await using server = await serveAdmin(0, {});
  await assert.rejects(serveAdmin(server.port, {}), new RegExp(`cannot listen on 127.0.0.1:${server.port}: .*EADDRINUSE`));
});

test("readiness names what is pending", async () => {
  const pending = ["state manager", "workload proxy manager"];
  await using server = await serveReadiness({ host: "127.0.0.1", port: 0 }, () => pending);
  const ask = async () => {
    const r = await fetch(`http://127.0.0.1:${server.port}/healthz/ready`);
    return [r.status, await r.text()];
  };
  assert.deepEqual(await ask(), [500, "not ready, pending: state manager, workload proxy manager\n"]);
  pending.splice(0);
  assert.deepEqual(await ask(), [200, "ready\n"]);
});

test("metrics are negotiated and packed", async () => {
  const metrics = createMetrics();
  metrics.counter({ name: "x_total", help: "Xs." }).with({}).add();
  await using server = await serveMetrics({ host: "127.0.0.1", port: 0 }, metrics);
  const url = `http://127.0.0.1:${server.port}`;
  const packed = await fetch(`${url}/metrics`, { headers: { "accept-encoding": "gzip" } });
  assert.equal(packed.headers.get("content-encoding"), "gzip");
  assert.match(await packed.text(), /^x_total 1$/m);
  const open = await fetch(`${url}/stats/prometheus`, {
    headers: { accept: "application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "accept-encoding": "identity" },
  });
  assert.match(open.headers.get("content-type") ?? "", /^application\/openmetrics-text/);
  assert.equal(open.headers.get("content-encoding"), null);
  assert.match(await open.text(), /# EOF\n$/);
  assert.equal((await fetch(`${url}/other`)).status, 404);
});
