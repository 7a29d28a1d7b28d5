// Does state come from a controller over gRPC, and is what cannot be read refused while the rest is served?

import assert from "node:assert/strict";
import { test } from "node:test";
import { serveGrpc } from "@ambit/shared/grpc/serve.ts";
import { envFrom } from "@ambit/shared/runtime/env.ts";
import { ok } from "@ambit/shared/runtime/result.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { aService, aWorkload } from "@ambit/shared/state/fixtures.ts";
import { createLogger } from "@ambit/shared/telemetry/log.ts";
import { createMetrics } from "@ambit/shared/telemetry/metrics.ts";
import { encodeAddress } from "@ambit/shared/wire/address.ts";
import { ADDRESS_TYPE, AUTHORIZATION_TYPE, type Node } from "@ambit/shared/wire/types.ts";
import { createXdsServer, type XdsResource } from "@ambit/shared/xds/server.ts";
import { parseConfig } from "./config.ts";
import { ztunnelSources } from "./sources.ts";
import { createStateFeed } from "./state/feed.ts";
import { createMeshMirror } from "./state/mirror.ts";

const resource = (value: Uint8Array): XdsResource => ({ version: "1", value });
const workload = aWorkload("a", "10.0.0.1");
const ADDRESSES = new Map([
  [workload.uid, resource(encodeAddress({ kind: "workload", workload }))],
  ["ns/misnamed", resource(encodeAddress({ kind: "service", service: aService("s", "10.96.0.1") }))],
  ["broken", resource(Buffer.from("not protobuf"))],
]);

test("a ztunnel's state from a controller", { timeout: 10_000 }, async (t) => {
  const nodes: Node[] = [];
  const tokens: unknown[] = [];
  const source = (resources: ReadonlyMap<string, XdsResource>) => ({ snapshot: () => resources, onChange: () => () => {} });
  const xds = createXdsServer<string>({
    types: [
      { typeUrl: AUTHORIZATION_TYPE, source: source(new Map()) },
      { typeUrl: ADDRESS_TYPE, source: source(ADDRESSES) },
    ],
    authenticate: async ({ node, metadata }) => {
      nodes.push(node);
      tokens.push(metadata.get("authorization")[0]);
      return ok("ztunnel");
    },
    log: () => {},
  });
  const server = await serveGrpc({ bind: "127.0.0.1:0", services: [xds] });
  const url = `http://127.0.0.1:${server.port}`;
  const config = parseConfig(
    envFrom({
      XDS_ADDRESS: url,
      CA_ADDRESS: url,
      AUTH_TOKEN: "secret",
      POD_NAME: "z",
      NODE_NAME: "n1",
      INSTANCE_IP: "10.0.0.9",
      ISTIO_META_A: "b",
    }),
  );
  assert.ok(config.ok);
  const lines: string[] = [];
  const log = createLogger({ format: "text", out: { write: (l) => lines.push(l) } }).scope("xds");
  const sources = ztunnelSources(config.value, { metrics: createMetrics(), world: realWorld(), log });
  const feed = createStateFeed();
  const state = createMeshMirror();
  feed.subscribe(state.apply);
  const stop = new AbortController();
  const follower = sources.follow(feed.types);
  const running = follower.run(stop.signal);
  t.after(async () => {
    stop.abort(new Error("test over"));
    await running;
    sources.close();
    server.close();
  });

  await follower.firstSync(AbortSignal.timeout(5_000));
  assert.deepEqual([...state.store.workloads()], [workload]);
  assert.deepEqual([...state.store.services()], []);
  assert.equal(nodes[0]?.id, "ztunnel~10.0.0.9~z.istio-system~istio-system.svc.cluster.local");
  assert.equal(nodes[0]?.metadata.NODE_NAME, "n1");
  assert.equal(nodes[0]?.metadata.A, "b");
  assert.equal(tokens[0], "Bearer secret");
  const all = lines.join("");
  assert.match(all, /ns\/misnamed/);
  assert.match(all, /broken/);
});
