// The network between two nodes goes away, and the proxy under load is killed: does anything hang, does everything come back?
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { dial, ended, http, readUntil, type To } from "../../world/net.ts";
import { until, within } from "../../world/until.ts";
import type { Context } from "../context.ts";
import { PORTS } from "../fixture.ts";
import { killPod } from "../kill.ts";

type Link = { readonly ifname: string; readonly ifindex: number; readonly link_index?: number };

const linksOf = (namespace: string): readonly Link[] =>
  JSON.parse(String(execFileSync("ip", ["-n", namespace, "-j", "link"]))) as readonly Link[];

/** The far end of a node's uplink, in the fabric: taking that down loses the carrier but no address and no route. */
const cable = (c: Context, node: number): { cut(): void; mend(): void } => {
  const fabric = `ambit-${c.cluster.id}-fabric`;
  const uplink = linksOf(`ambit-${c.cluster.id}-node${node}`).find((l) => l.ifname === "eth0");
  const port = linksOf(fabric).find((l) => l.ifindex === uplink?.link_index);
  if (port === undefined) throw new Error(`node${node} has no cable to the fabric`);
  const set = (state: "up" | "down"): void => void execFileSync("ip", ["-n", fabric, "link", "set", port.ifname, state]);
  return { cut: () => set("down"), mend: () => set("up") };
};

/** Requests one after another until told to stop; what came of each, and how long the slowest took. */
const stream = (c: Context, to: To) => {
  const results: { readonly ok: boolean; readonly ms: number }[] = [];
  let over = false;
  const done = (async () => {
    const place = await c.place("mesh/client1");
    while (!over) {
      const began = performance.now();
      const ok = await http(place, to).then(
        (a) => a.status === 200,
        () => false,
      );
      results.push({ ok, ms: performance.now() - began });
    }
  })();
  const stop = async (): Promise<typeof results> => {
    over = true;
    await done;
    return results;
  };
  return { results, stop };
};

export const faults = (ctx: () => Context): void => {
  test("a link down for a moment: what was open goes on without losing a byte, and so do new connections", {
    timeout: 60_000,
  }, async () => {
    const c = ctx();
    const place = await c.place("mesh/client1");
    const to = { host: await c.ip("mesh/server2"), port: PORTS.echo };
    const open = await dial(place, to);
    open.write("before.");
    await readUntil(open, "before.");
    const link = cable(c, 2);
    link.cut();
    try {
      open.write("meanwhile.");
      await assert.rejects(readUntil(open, "meanwhile.", 1_000), /not within/);
    } finally {
      link.mend();
    }
    await readUntil(open, "meanwhile.", 20_000);
    open.destroy();
    const answer = await http(place, { host: to.host, port: PORTS.http });
    assert.equal(answer.status, 200);
  });

  test("a link down for long: connections over it end instead of hanging, and come back with it", { timeout: 120_000 }, async () => {
    const c = ctx();
    const place = await c.place("mesh/client1");
    const to = { host: await c.ip("mesh/server2"), port: PORTS.echo };
    const open = await dial(place, to);
    open.write("x.");
    await readUntil(open, "x.");
    const link = cable(c, 2);
    link.cut();
    try {
      // A PING every 10 s, and 20 s for its answer.
      await within("the connection to end", ended(open), 40_000);
    } finally {
      link.mend();
      open.destroy();
    }
    await until(
      "an answer",
      async () => ((await http(place, { host: to.host, port: PORTS.http })).status === 200 ? true : undefined),
      30_000,
    );
  });

  test("ztunnel killed under load: what fails fails at once, and nothing does once it is back", { timeout: 120_000 }, async () => {
    const c = ctx();
    const requests = stream(c, { host: await c.vip("mesh", "server"), port: PORTS.http });
    await until("answers before", () => (requests.results.length > 20 ? true : undefined));
    const before = requests.results.length;
    await killPod(c, "istio-system", "app=ztunnel");
    await until("failures", () => (requests.results.slice(before).some((r) => !r.ok) ? true : undefined));
    await until(
      "fifty answers in a row",
      () => {
        const last = requests.results.slice(-50);
        return last.length === 50 && last.every((r) => r.ok) ? true : undefined;
      },
      60_000,
    );
    const results = await requests.stop();
    const slow = results.filter((r) => r.ms > 10_000);
    assert.deepEqual(slow, [], "a request hung");
  });
};
