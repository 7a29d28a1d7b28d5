// The mesh, end to end: real pods in real namespaces, installed by kubectl; after it, nothing is left.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Cluster, startCluster } from "../world/cluster.ts";
import { leftovers } from "../world/leaks.ts";
import { allCaptured, type Context, createContext } from "./context.ts";
import { fixture } from "./fixture.ts";
import { dns } from "./suites/dns.ts";
import { faults } from "./suites/faults.ts";
import { hostile } from "./suites/hostile.ts";
import { lifecycle } from "./suites/lifecycle.ts";
import { policy } from "./suites/policy.ts";
import { rollout } from "./suites/rollout.ts";
import { traffic } from "./suites/traffic.ts";
import { waypoint } from "./suites/waypoint.ts";

let cluster: Cluster | undefined;
let context: Context | undefined;
const ctx = (): Context => {
  if (context === undefined) throw new Error("the cluster did not start");
  return context;
};

describe("the mesh end to end", { concurrency: 1 }, () => {
  before(
    async () => {
      cluster = await startCluster({ name: "test-mesh", nodes: 2 });
      await cluster.apply(fixture());
      await cluster.installMesh();
      await allCaptured(cluster, "mesh");
      context = createContext(cluster);
      for (const key of ["mesh/client1", "mesh/client2", "mesh/other", "mesh/server1", "mesh/server2", "plain/client", "plain/server"])
        await context.pod(key);
    },
    { timeout: 180_000 },
  );
  after(() => cluster?.stop(), { timeout: 90_000 });

  describe("traffic", () => traffic(ctx));
  describe("dns", () => dns(ctx));
  describe("policy", () => policy(ctx));
  describe("hostile peers", () => hostile(ctx));
  describe("waypoint", () => waypoint(ctx));
  describe("lifecycle", () => lifecycle(ctx));
  describe("rollouts", () => rollout(ctx));
  describe("faults", () => faults(ctx));

  test("nothing is left: processes, namespaces, links, tables, mounts, cgroups", async () => {
    const c = ctx().cluster;
    await c.stop();
    assert.deepEqual(await leftovers(c.id, c.dataDir), []);
  });
});
