// Is a pod's network never taken for another one's, however fd numbers are used again?

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import type { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import { ownNetns } from "@ambit/shared/linux/netns.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { ip } from "@ambit/shared/state/fixtures.ts";
import { createPodNet, type SocketConfig } from "./listen.ts";
import { openListeners } from "./listeners.ts";

const config: SocketConfig = {
  mark: 1337,
  ipv6: true,
  portReuse: false,
  keepalive: undefined,
  userTimeoutMs: undefined,
  connectTimeoutMs: 1_000,
  originalSource: true,
};
const nobody = { ip: ip("127.0.0.1"), port: 9 };

test("a namespace that was closed is never dialled in, also when its fd's number is another namespace's by now", async () => {
  const old = ownNetns();
  const number = old.fd;
  const net = createPodNet(old, config, realWorld());
  old[Symbol.dispose]();
  using next = ownNetns();
  assert.equal(next.fd, number, "the kernel gives the lowest free number again");
  await assert.rejects(net.dial(nobody, { signal: new AbortController().signal, halfOpen: true }), (e: MeshError) => {
    assert.equal(e.code, "CONNECT");
    assert.match(e.message, /the network namespace has been closed/);
    return true;
  });
  const specs = [{ name: "any", kind: "tcp", port: 0, at: "any" }] as const;
  assert.throws(() => openListeners(old, { specs, sockets: config, threads: 2, inherited: [] }), /the network namespace has been closed/);
});

test("nothing is dialled for what was given up already", async () => {
  using own = ownNetns();
  const net = createPodNet(own, config, realWorld());
  const before = readdirSync("/proc/self/fd").length;
  const reason = new Error("given up");
  await assert.rejects(net.dial(nobody, { signal: AbortSignal.abort(reason), halfOpen: true }), (e) => e === reason);
  assert.equal(readdirSync("/proc/self/fd").length, before);
});
