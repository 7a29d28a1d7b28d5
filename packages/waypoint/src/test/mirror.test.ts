// Does a mirror get its copy without touching the request itself?

import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, backend, echo } from "./helpers.ts";
import { aPort, aRule, createRig, toService } from "./rig.ts";

test("a mirror gets the request with the rule's edits; its answer and its absence change nothing", async () => {
  await using rig = createRig();
  await using server = await backend(echo);
  const copied = Promise.withResolvers<string>();
  await using shadow = await backend((req, res) => {
    let body = "";
    req.on("data", (c) => {
      body += String(c);
    });
    req.on("end", () => {
      res.writeHead(500).end();
      copied.resolve(`${req.method} ${req.url} ${String(req.headers["x-new"])} ${body}`);
    });
  });
  rig.backends("reviews", [server.port]);
  rig.backends("shadow", [shadow.port]);
  const mirror = (name: string) => ({ kind: "mirror" as const, backend: toService(name).target, percent: 100 });
  const edit = { kind: "request-headers" as const, edits: { set: [{ name: "x-new", value: "1" }], add: [], remove: [] } };
  rig.push({ ports: [aPort({ rules: [aRule({ filters: [edit, mirror("shadow"), mirror("absent")] })] })] });
  const answer = await ask(await rig.entry(), { method: "POST", path: "/p", body: "hello" });
  assert.deepEqual([answer.status, JSON.parse(answer.body.toString()).body], [200, "hello"]);
  assert.equal(await copied.promise, "POST /p 1 hello");
});
