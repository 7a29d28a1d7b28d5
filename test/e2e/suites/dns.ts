// What do a captured pod's names resolve to, when the pod itself asks?
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { promisify } from "node:util";
import { dial } from "../../world/net.ts";
import { until } from "../../world/until.ts";
import type { Context } from "../context.ts";

const run = promisify(execFile);
const CLUSTER_DNS = "10.96.0.10";

/** A question for the A records of a name, as a stub resolver writes it (RFC 1035 section 4.1). */
const question = (name: string): Buffer =>
  Buffer.concat([
    Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    ...name.split(".").map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])),
    Buffer.from([0, 0, 1, 0, 1]),
  ]);

/** The pod's process, in whose mounts lies the resolv.conf that the kubelet wrote. */
const processOf = async (uid: string): Promise<string> => {
  const { stdout } = await run("grep", ["-lrs", `pod${uid}`, "--include=cgroup", ...(await tasks())]).catch((e: { stdout?: string }) => ({
    stdout: e.stdout ?? "",
  }));
  const pid = /^\/proc\/(\d+)\//m.exec(stdout)?.[1];
  if (pid === undefined) throw new Error(`no process of pod ${uid}`);
  return pid;
};
const tasks = async (): Promise<string[]> => {
  const { stdout } = await run("ls", ["/proc"]);
  return stdout.split("\n").flatMap((n) => (/^\d+$/.test(n) ? [`/proc/${n}/cgroup`] : []));
};

export const dns = (ctx: () => Context): void => {
  /** What the C library in the pod finds: its own resolv.conf, its own network. */
  const getent = async (key: string, name: string): Promise<string> => {
    const uid = (await ctx().pod(key)).metadata.uid ?? "";
    const pid = await processOf(uid);
    try {
      const { stdout } = await run("nsenter", ["-t", pid, "-m", "-n", "-r", "--", "getent", "ahostsv4", name], { timeout: 20_000 });
      return [...new Set(stdout.split("\n").flatMap((l) => l.split(/\s+/)[0] || []))].join(" ");
    } catch (e) {
      return `exit ${(e as { code?: number }).code}`;
    }
  };

  test("the C library in a captured pod finds services by every form of their name, and the cluster's own names beside them", async () => {
    const vip = await ctx().vip("mesh", "server1");
    for (const name of ["server1", "server1.mesh", "server1.mesh.svc", "server1.mesh.svc.cluster.local"])
      assert.equal(await getent("mesh/client1", name), vip, name);
    assert.equal(await getent("mesh/client1", "server.plain"), await ctx().vip("plain", "server"));
    assert.equal(await getent("mesh/client1", "nowhere.mesh"), "exit 2");
    assert.equal(await getent("plain/client", "server1.mesh"), vip, "an uncaptured pod asks the cluster's DNS as ever");
  });

  test("over TCP, with the mesh's authority, at whichever nameserver", async () => {
    const vip = await ctx().vip("mesh", "server1");
    for (const host of [CLUSTER_DNS, "10.96.0.99"]) {
      const socket = await dial(await ctx().place("mesh/client1"), { host, port: 53 });
      const query = question("server1.mesh.svc.cluster.local");
      socket.write(Buffer.concat([Buffer.from([query.length >> 8, query.length & 255]), query]));
      const [bytes] = (await once(socket, "data", { signal: AbortSignal.timeout(10_000) })) as [Buffer];
      socket.destroy();
      assert.equal(bytes.readUInt16BE(4) & 0x8480, 0x8480, "an answer, authoritative, recursion available");
      assert.equal([...bytes.subarray(-4)].join("."), vip);
    }
  });

  test("when its ztunnel has been replaced, names resolve again", async () => {
    const { cluster } = ctx();
    const node = (await ctx().pod("mesh/client1")).spec?.nodeName;
    const ztunnel = (await cluster.pods("istio-system", "app=ztunnel")).find((p) => p.spec?.nodeName === node);
    await cluster.kubectl("-n", "istio-system", "delete", "pod", ztunnel?.metadata.name ?? "", "--wait=false");
    await until("names resolve again", async () => ((await getent("mesh/client1", "server1")).includes(".") ? true : undefined), 60_000);
  });
};
