// What do commands make of their words, before any cluster is asked?
import assert from "node:assert/strict";
import { test } from "node:test";
import { KubeError } from "@ambit/shared/kube/error.ts";
import { splitRef } from "../client/mesh.ts";
import { resolveTarget, serviceNames } from "../client/resolve.ts";
import type { Context } from "../context.ts";
import { createProgram } from "../program.ts";
import { waypointGateway } from "./waypoint.ts";

test("names of pods: name, name.namespace, namespace/name", () => {
  assert.deepEqual(splitRef("a", "ns"), { namespace: "ns", name: "a" });
  assert.deepEqual(splitRef("a.b", "ns"), { namespace: "b", name: "a" });
  assert.deepEqual(splitRef("b/a.c", "ns"), { namespace: "b", name: "a.c" });
});

const hosts: [string, { namespace: string; name: string } | undefined][] = [
  ["reviews", { namespace: "ns", name: "reviews" }],
  ["reviews.shop", { namespace: "shop", name: "reviews" }],
  ["reviews.shop.svc", { namespace: "shop", name: "reviews" }],
  ["reviews.shop.svc.cluster.local", { namespace: "shop", name: "reviews" }],
  ["reviews.shop.svc.other", undefined],
  ["example.org.com", undefined],
  [".shop", undefined],
];
for (const [host, want] of hosts) test(`serviceNames ${host}`, () => assert.deepEqual(serviceNames(host, "ns"), want));

/** A client that has one Service, ns/web with the VIP. */
const oneService = (clusterIP: string) => ({
  get: async (_r: unknown, key: { name: string }) => (key.name === "web" ? { metadata: { name: "web" }, spec: { clusterIP } } : undefined),
});
type Client = Parameters<typeof resolveTarget>[0];

test("targets: addresses as they are, names by their Service, and one sentence for what is neither", async () => {
  const client = oneService("10.96.0.5") as unknown as Client;
  assert.deepEqual((await resolveTarget(client, "[::1]:80", "ns")).to, { ip: "::1", port: 80 });
  const web = await resolveTarget(client, "web:80", "ns");
  assert.deepEqual([web.to, web.service], [{ ip: "10.96.0.5", port: 80 }, "ns/web"]);
  await assert.rejects(resolveTarget(client, "web", "ns"), /web: want host:port/);
  await assert.rejects(resolveTarget(client, "nobody:80", "ns"), /nobody is not a Service that namespace ns can see/);
  await assert.rejects(resolveTarget(oneService("None") as unknown as Client, "web:80", "ns"), /has no cluster IP/);
});

test("the Gateway of a waypoint is the one istioctl generates", () => {
  assert.deepEqual(waypointGateway("shop", { name: "waypoint", for: "all", revision: "r" }), {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: { name: "waypoint", namespace: "shop", labels: { "istio.io/waypoint-for": "all", "istio.io/rev": "r" } },
    spec: { gatewayClassName: "istio-waypoint", listeners: [{ name: "mesh", port: 15008, protocol: "HBONE" }] },
  });
  assert.throws(
    () => waypointGateway("shop", { name: "w", for: "everything" }),
    /--for everything: want one of service, workload, all, none/,
  );
});

/** Runs the command line with a scripted cluster; what it printed and noted. */
const ambit = async (client: object, ...args: string[]): Promise<{ out: string; err: string; error?: string }> => {
  const said = { out: "", err: "" };
  const ctx: Context = {
    cluster: () => ({ client, admin: {}, pods: {}, namespace: "shop" }) as unknown as ReturnType<Context["cluster"]>,
    world: { now: () => 0, random: () => 0, sleep: async () => undefined },
    print: (text) => {
      said.out += text;
    },
    note: (text) => {
      said.err += text;
    },
  };
  const program = createProgram("0", ctx, () => undefined);
  program.exitOverride().configureOutput({ writeOut: ctx.print, writeErr: ctx.note });
  for (const command of program.commands) command.exitOverride().configureOutput({ writeErr: ctx.note });
  try {
    await program.parseAsync(["node", "ambit", ...args]);
    return said;
  } catch (e) {
    return { ...said, error: e instanceof Error ? e.message : String(e) };
  }
};

test("waypoint apply --enroll-namespace: refuses to replace another, warns of a namespace outside the mesh", async () => {
  const calls: string[] = [];
  const client = (labels: Record<string, string>) => ({
    get: async () => ({ metadata: { name: "shop", labels } }),
    patch: async (r: { kind: string }) => void calls.push(r.kind),
  });
  const other = await ambit(client({ "istio.io/use-waypoint": "old" }), "waypoint", "apply", "--enroll-namespace");
  assert.match(other.error ?? "", /namespace shop already uses waypoint old: give --overwrite/);
  assert.deepEqual(calls, []);
  const plain = await ambit(client({}), "waypoint", "apply", "--enroll-namespace");
  assert.match(plain.err, /does not have the label istio\.io\/dataplane-mode=ambient/);
  assert.deepEqual(calls, ["Gateway", "Namespace"]);
  assert.equal(plain.out, 'waypoint shop/waypoint applied\nnamespace shop labeled with "istio.io/use-waypoint: waypoint"\n');
});

test("waypoint apply where the namespace or the Gateway API is missing says so", async () => {
  const client = {
    patch: async () => Promise.reject(new KubeError({ status: 404, reason: "NotFound", message: "nothing there", body: undefined })),
  };
  assert.match(
    (await ambit(client, "waypoint", "apply")).error ?? "",
    /namespace shop does not exist, or the Gateway API is not installed/,
  );
});

test("waypoint delete wants names or --all, not both and not neither", async () => {
  const client = { list: async () => ({ items: [] }) };
  assert.match((await ambit(client, "waypoint", "delete")).error ?? "", /give the names .* or --all/);
  assert.match((await ambit(client, "waypoint", "delete", "a", "--all")).error ?? "", /and not both/);
  assert.match((await ambit(client, "waypoint", "delete", "a")).error ?? "", /there is no waypoint shop\/a/);
});

test("a command that does not exist is refused", async () => {
  assert.match((await ambit({}, "waypont")).error ?? "", /unknown command 'waypont'/);
});
