// A mirror target that never answers must not hold connections for ever, nor without bound.
import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import { test } from "node:test";
import { ask, backend, echo } from "./helpers.ts";
import { aPort, aRule, createRig, listening, toService } from "./rig.ts";

const silent = async () => {
  const sockets = new Set<Socket>();
  const [first, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const server = createServer((s) => {
    sockets.add(s);
    s.on("error", () => undefined);
    s.on("data", () => first.resolve());
    s.on("close", () => ended.resolve());
  });
  return {
    port: await listening(server),
    sockets,
    first: first.promise,
    ended: ended.promise,
    [Symbol.asyncDispose]: async () => {
      for (const s of sockets) s.destroy();
      server.close();
    },
  };
};
const mirrored = { kind: "mirror" as const, backend: toService("shadow").target, percent: 100 };

test("a copy that is not answered is given up at the backend's time limit, and is told", async () => {
  const told: string[] = [];
  const failed = Promise.withResolvers<void>();
  const observeMirror = (outcome: string): void => {
    told.push(outcome);
    if (outcome === "failed") failed.resolve();
  };
  await using rig = createRig({ deps: { observeMirror } });
  await using server = await backend(echo);
  await using shadow = await silent();
  rig.backends("reviews", [server.port]);
  rig.backends("shadow", [shadow.port]);
  rig.push({ ports: [aPort({ rules: [aRule({ filters: [mirrored], backendTimeoutMs: 50 })] })] });
  assert.equal((await ask(await rig.entry())).status, 200);
  await shadow.first;
  await Promise.all([shadow.ended, failed.promise]);
  assert.deepEqual(told, ["failed"]);
});

test("above the limit of copies in flight a copy is dropped, and the request itself goes on", async () => {
  const told: string[] = [];
  await using rig = createRig({ deps: { observeMirror: (outcome) => void told.push(outcome) } });
  await using server = await backend(echo);
  await using shadow = await silent();
  rig.backends("reviews", [server.port]);
  rig.backends("shadow", [shadow.port]);
  rig.push({ ports: [aPort({ rules: [aRule({ filters: [mirrored] })] })] });
  const entry = await rig.entry();
  for (let i = 0; i < 105; i++) assert.equal((await ask(entry)).status, 200);
  assert.deepEqual(told, Array(5).fill("dropped"));
});
