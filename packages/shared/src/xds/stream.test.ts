// Do client and server keep a proxy's state in step over real streams, and through restarts?

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { testAuthority } from "../ca/fixture.ts";
import { createChannel } from "../grpc/channel.ts";
import { serveGrpc } from "../grpc/serve.ts";
import { err, ok } from "../runtime/result.ts";
import { realWorld } from "../runtime/run.ts";
import { createXdsClient, type XdsUpdate } from "./client.ts";
import { createXdsServer, type XdsResource, type XdsServerOptions } from "./server.ts";
import type { Changed, Names } from "./server-state.ts";

const node = {
  id: "ztunnel~1.1.1.1~z.istio-system~istio-system.svc.cluster.local",
  metadata: { NODE_NAME: "node1", NESTED: { a: [1, null, true] } },
};

/** Resources of one type, edited by the test. */
const table = (resources: Record<string, string>) => {
  const listeners = new Set<(c: Changed) => void>();
  return {
    source: {
      snapshot: (_client: string, names: Names) =>
        new Map(
          Object.entries(resources)
            .filter(([n]) => names === "wildcard" || names.has(n) || names.has(`alias/${n}`))
            .map(([n, v]): [string, XdsResource] => [n, { version: v, value: Buffer.from(v), aliases: [`alias/${n}`] }]),
        ),
      onChange: (l: (c: Changed) => void) => {
        listeners.add(l);
        return () => listeners.delete(l);
      },
    },
    set: (name: string, value: string | undefined) => {
      if (value === undefined) delete resources[name];
      else resources[name] = value;
      for (const l of listeners) l(new Set([name]));
    },
  };
};

/** What the client was told, and a wait for it to be as wanted. */
const store = (refuse: (name: string, value: string) => string | undefined = () => undefined) => {
  const held = new Map<string, string>();
  const updates: XdsUpdate[] = [];
  let wake: () => void = () => undefined;
  return {
    held,
    updates,
    apply: (u: XdsUpdate) => {
      updates.push(u);
      const rejected: { name: string; reason: string }[] = [];
      for (const { name, value } of u.upserts) {
        const reason = refuse(name, Buffer.from(value).toString());
        if (reason === undefined) held.set(name, Buffer.from(value).toString());
        else rejected.push({ name, reason });
      }
      for (const name of u.removed) held.delete(name);
      wake();
      return { rejected };
    },
    until: async (wanted: () => boolean): Promise<void> => {
      while (!wanted()) await new Promise<void>((resolve) => (wake = resolve));
    },
  };
};

type T = { after(f: () => void): void };
const serveOn = async (t: T, bind: string, options: Partial<XdsServerOptions<string>> & Pick<XdsServerOptions<string>, "types">) => {
  const logs: { event: string; fields: object }[] = [];
  let wake: () => void = () => undefined;
  const xds = createXdsServer<string>({
    authenticate: async () => ok("me"),
    log: (event, fields) => {
      logs.push({ event, fields });
      wake();
    },
    ...options,
  });
  const server = await serveGrpc({ bind, services: [xds] });
  const stop = () => {
    xds.close();
    server.close();
  };
  t.after(stop);
  const logged = async (event: string) => {
    while (!logs.some((l) => l.event === event)) await new Promise<void>((resolve) => (wake = resolve));
  };
  return { xds, server, stop, logs, logged };
};

const follow = (t: T, port: number, types: Parameters<typeof createXdsClient>[0]["types"]) => {
  const stop = new AbortController();
  const events: string[] = [];
  const client = createXdsClient({
    channel: createChannel({ address: `127.0.0.1:${port}`, roots: { kind: "plaintext" } }),
    node,
    types,
    world: realWorld(),
    log: (event) => events.push(event),
  });
  const running = client.run(stop.signal);
  t.after(() => stop.abort());
  return { client, running, stop, events };
};

test("first sync, changes, removals, refusals", { timeout: 10_000 }, async (t) => {
  const a = table({ x: "1", y: "1" });
  const peers: object[] = [];
  const s = await serveOn(t, "127.0.0.1:0", {
    types: [{ typeUrl: "A", source: a.source }],
    authenticate: async (peer) => {
      peers.push(peer.node);
      return ok("me");
    },
  });
  const held = store((name, value) => (value === "bad" ? `${name} is bad` : undefined));
  const { client, running, stop } = follow(t, s.server.port, [{ typeUrl: "A", subscribe: "wildcard", apply: held.apply }]);
  await client.firstSync(AbortSignal.timeout(5000));
  assert.deepEqual(Object.fromEntries(held.held), { x: "1", y: "1" });
  assert.deepEqual(peers, [node]);
  a.set("x", "2");
  a.set("y", undefined);
  await held.until(() => held.held.get("x") === "2" && !held.held.has("y"));
  a.set("z", "bad");
  await s.logged("xds resources refused");
  assert.equal(held.held.has("z"), false);
  assert.equal(s.xds.streams()[0]?.types[0]?.lastNack, "z: z is bad");
  a.set("z", "good");
  await held.until(() => held.held.get("z") === "good");
  stop.abort();
  await running;
  await s.logged("xds stream closed");
  assert.deepEqual(s.xds.streams(), []);
});

test("after a restart of the server only differences come, and what was held is kept meanwhile", { timeout: 10_000 }, async (t) => {
  const a = table({ x: "1", y: "1", z: "1" });
  const first = await serveOn(t, "127.0.0.1:0", { types: [{ typeUrl: "A", source: a.source }] });
  const held = store();
  const { client } = follow(t, first.server.port, [{ typeUrl: "A", subscribe: "wildcard", apply: held.apply }]);
  await client.firstSync(AbortSignal.timeout(5000));
  first.stop();
  const after = table({ x: "1", y: "2" });
  assert.deepEqual(Object.fromEntries(held.held), { x: "1", y: "1", z: "1" });
  await serveOn(t, `127.0.0.1:${first.server.port}`, { types: [{ typeUrl: "A", source: after.source }] });
  await held.until(() => held.held.get("y") === "2");
  assert.deepEqual(Object.fromEntries(held.held), { x: "1", y: "2" });
  assert.deepEqual(
    held.updates.at(-1)?.upserts.map((u) => u.name),
    ["y"],
  );
});

test("a stream that the server ends cleanly is begun again", { timeout: 10_000 }, async (t) => {
  const a = table({ x: "1" });
  const s = await serveOn(t, "127.0.0.1:0", { types: [{ typeUrl: "A", source: a.source }] });
  const held = store();
  const { client, events } = follow(t, s.server.port, [{ typeUrl: "A", subscribe: "wildcard", apply: held.apply }]);
  await client.firstSync(AbortSignal.timeout(5000));
  s.xds.close();
  await held.until(() => held.updates.length === 2);
  assert.deepEqual(events, ["xds stream ended"]);
  assert.deepEqual(held.updates[1], { upserts: [], removed: [] });
});

test("on demand: asked by alias, answered, also that there is none", { timeout: 10_000 }, async (t) => {
  const a = table({ x: "1", y: "1" });
  const s = await serveOn(t, "127.0.0.1:0", { types: [{ typeUrl: "A", source: a.source }] });
  const held = store();
  const { client } = follow(t, s.server.port, [{ typeUrl: "A", subscribe: "on-demand", apply: held.apply }]);
  await client.firstSync(AbortSignal.timeout(5000));
  client.subscribe("A", ["alias/x", "alias/none"]);
  await held.until(() => held.held.has("x") && held.updates.some((u) => u.removed.includes("alias/none")));
  assert.deepEqual(
    held.updates.flatMap((u) => u.upserts).map((u) => [u.name, u.aliases]),
    [["x", ["alias/x"]]],
  );
  a.set("none", "now");
  await held.until(() => held.held.get("none") === "now");
  client.unsubscribe("A", ["alias/x"]);
  await held.until(() => !held.held.has("x"));
});

test("a caller who is not known is refused with the reason, and nothing is served", { timeout: 10_000 }, async (t) => {
  const a = table({ x: "1" });
  const s = await serveOn(t, "127.0.0.1:0", {
    types: [{ typeUrl: "A", source: a.source }],
    authenticate: async () => err("the token has expired"),
  });
  const held = store();
  const { events } = follow(t, s.server.port, [{ typeUrl: "A", subscribe: "wildcard", apply: held.apply }]);
  await s.logged("xds stream refused");
  while (!events.includes("xds stream failed")) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(held.updates.length, 0);
  assert.deepEqual(s.xds.streams(), []);
});

test("an update whose application throws is refused whole; the stream goes on", { timeout: 10_000 }, async (t) => {
  const a = table({ x: "1" });
  const s = await serveOn(t, "127.0.0.1:0", { types: [{ typeUrl: "A", source: a.source }] });
  let calls = 0;
  const held = store();
  const { events } = follow(t, s.server.port, [
    {
      typeUrl: "A",
      subscribe: "wildcard",
      apply: (u) => {
        calls += 1;
        if (calls === 1) throw new TypeError("bug");
        return held.apply(u);
      },
    },
  ]);
  await s.logged("xds resources refused");
  assert.ok(events.includes("xds update failed"));
  a.set("x", "2");
  await held.until(() => held.held.get("x") === "2");
});

test("over TLS: the server's name is checked, roots and token are read again, a renewed certificate is served", {
  timeout: 20_000,
}, async (t) => {
  const dir = await mkdtemp(join(tmpdir(), "ambit-xds-"));
  t.after(() => rm(dir, { recursive: true }));
  const rootsFile = join(dir, "root.pem");
  const tokenFile = join(dir, "token");
  const first = testAuthority();
  const second = testAuthority();
  let serving = first.serving("istiod.istio-system.svc");
  const renewals = new Set<() => void>();
  const tokens: unknown[] = [];
  const a = table({ x: "1" });
  const xds = createXdsServer<string>({
    types: [{ typeUrl: "A", source: a.source }],
    authenticate: async ({ metadata }) => {
      tokens.push([metadata.get("authorization")[0], metadata.get("clusterid")[0], metadata.get("x-extra")[0]]);
      return ok("me");
    },
    log: () => undefined,
  });
  const onRenew = (l: () => void) => {
    renewals.add(l);
    return () => renewals.delete(l);
  };
  const server = await serveGrpc({ bind: "127.0.0.1:0", tls: { current: () => serving, onRenew }, services: [xds] });
  t.after(() => {
    xds.close();
    server.close();
  });
  const options = { address: `127.0.0.1:${server.port}`, tokenFile, clusterId: "Kubernetes", headers: { "x-extra": "1" } };
  const syncWith = async (channelOptions: Parameters<typeof createChannel>[0]): Promise<string[]> => {
    const stop = new AbortController();
    const events: string[] = [];
    const failed = Promise.withResolvers<void>();
    const channel = createChannel(channelOptions);
    const client = createXdsClient({
      channel,
      node,
      types: [{ typeUrl: "A", subscribe: "wildcard", apply: () => ({ rejected: [] }) }],
      world: realWorld(),
      log: (event, fields) => {
        events.push(`${event}: ${(fields as { error?: string }).error}`);
        failed.resolve();
      },
    });
    const running = client.run(stop.signal);
    await Promise.race([client.firstSync(stop.signal), failed.promise]);
    stop.abort();
    await running;
    channel.close();
    return events;
  };
  const named = { ...options, roots: { kind: "file" as const, path: rootsFile }, serverName: "istiod.istio-system.svc" };
  // One is missing at a time: which of two is found missing first is nobody's promise.
  await writeFile(tokenFile, "t0");
  assert.match((await syncWith(named))[0] ?? "", /the root certificates file .* cannot be read/);
  await rm(tokenFile);
  await writeFile(rootsFile, first.rootPem);
  assert.match((await syncWith(named))[0] ?? "", /the token file .* cannot be read/);
  await writeFile(tokenFile, "t1\n");
  assert.deepEqual(await syncWith(named), []);
  assert.deepEqual(tokens.at(-1), ["Bearer t1", "Kubernetes", "1"]);
  assert.match((await syncWith({ ...named, serverName: "other.svc" }))[0] ?? "", /xds stream failed: UNAVAILABLE/);
  await writeFile(tokenFile, "t2");
  serving = second.serving("istiod.istio-system.svc");
  for (const l of renewals) l();
  assert.match((await syncWith(named))[0] ?? "", /UNAVAILABLE/, "the new certificate is of another root");
  await writeFile(rootsFile, first.rootPem + second.rootPem);
  assert.deepEqual(await syncWith(named), []);
  assert.deepEqual(tokens.at(-1), ["Bearer t2", "Kubernetes", "1"]);
});
