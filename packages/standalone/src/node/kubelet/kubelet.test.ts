// Does a real node run real pods as the API server asks?

import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { ConfigMap, Node } from "@ambit/shared/kube/objects/core.ts";
import type { Container, Pod } from "@ambit/shared/kube/objects/pod.ts";
import { RESOURCES } from "@ambit/shared/kube/resources.ts";
import { WebSocket } from "ws";
import { findCgroupMount } from "../container/cgroup.ts";
import { kubeletSocket, podCgroup, podNetns } from "../instance.ts";
import { instanceNetns } from "../network/run.ts";
import { type NodeWorld, startNodeWorld } from "../testing/world.ts";

const ID = `k${process.pid.toString(16)}`;
const sh = (script: string, more: Partial<Container> = {}): Container => ({
  name: "c",
  image: "x",
  command: ["/bin/sh", "-c", script],
  ...more,
});
const ready = (pod: Pod): boolean => pod.status?.conditions?.find((c) => c.type === "Ready")?.status === "True";
const state = (pod: Pod) => pod.status?.containerStatuses?.[0];

describe("a real node", () => {
  let world: NodeWorld;
  before(async () => {
    world = await startNodeWorld(ID);
  });
  after(async () => {
    const { instance } = world;
    await world[Symbol.asyncDispose]();
    assert.deepEqual(instanceNetns(ID), []);
    assert.ok(!existsSync(instance.runDir));
    assert.ok(!existsSync(join(findCgroupMount(), `ambit-${ID}`)));
    assert.ok(!readFileSync("/proc/mounts", "utf8").includes(`/run/ambit/${ID}`));
  });

  const ask = async (path: string): Promise<{ code: number; text: string }> => {
    const request = http.get({ socketPath: kubeletSocket(world.instance, "node1"), path });
    const [response]: http.IncomingMessage[] = await once(request, "response");
    assert.ok(response !== undefined);
    let text = "";
    for await (const bytes of response) text += String(bytes);
    return { code: response.statusCode ?? 0, text };
  };
  const logs = (pod: string, query = ""): Promise<{ code: number; text: string }> => ask(`/containerLogs/default/${pod}/c${query}`);
  /** Runs a command through the kubelet's WebSocket; the streams' text by channel. */
  const exec = async (
    pod: string,
    command: readonly string[],
    more: { readonly input?: string; readonly tty?: boolean } = {},
  ): Promise<Record<number, string>> => {
    const query = new URLSearchParams([
      ...command.map((c) => ["command", c]),
      ["stdin", "true"],
      ["stdout", "true"],
      ["stderr", "true"],
      ["tty", String(more.tty === true)],
    ]);
    const socket = new WebSocket(`ws+unix://${kubeletSocket(world.instance, "node1")}:/exec/default/${pod}/c?${query}`, [
      "v5.channel.k8s.io",
    ]);
    const streams: Record<number, string> = {};
    socket.on("message", (data: Buffer) => {
      const channel = data[0] ?? 0;
      streams[channel] = (streams[channel] ?? "") + data.subarray(1).toString();
    });
    await once(socket, "open", { signal: AbortSignal.timeout(5_000) });
    if (more.input !== undefined) socket.send(Buffer.concat([Buffer.of(0), Buffer.from(more.input)]));
    if (more.tty !== true) socket.send(Buffer.of(255, 0));
    await once(socket, "close", { signal: AbortSignal.timeout(10_000) });
    return streams;
  };

  test("the node is registered, ready, and its kubelet answers", async () => {
    const node = await world.client.get<Node>(RESOURCES.nodes, { name: "node1" });
    assert.equal(node?.metadata.annotations?.["ambit.dev/kubelet-socket"], kubeletSocket(world.instance, "node1"));
    assert.equal(node?.status?.conditions?.find((c) => c.type === "Ready")?.status, "True");
    assert.deepEqual(await ask("/healthz"), { code: 200, text: "ok" });
    assert.equal((await ask("/nothing")).code, 404);
  });

  test("a pod with an init container, volumes, environment and probes comes up, is exec'd into, and goes without a trace", async () => {
    await world.client.create<ConfigMap>(RESOURCES.configMaps, { metadata: { name: "cm", namespace: "default" }, data: { key: "one" } });
    const pod = await world.run("full", {
      terminationGracePeriodSeconds: 5,
      initContainers: [
        {
          name: "init",
          image: "x",
          command: ["sh", "-c", "echo from-init >/shared/file"],
          volumeMounts: [{ name: "shared", mountPath: "/shared" }],
        },
      ],
      containers: [
        sh(
          "trap 'echo stopping; exit 0' TERM; cat /shared/file; echo $GREETING; echo problem >&2; touch /ready; while :; do sleep 0.1; done",
          {
            env: [
              { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
              { name: "GREETING", value: "hello from $(IP)" },
            ],
            readinessProbe: { exec: { command: ["test", "-e", "/ready"] }, periodSeconds: 1 },
            lifecycle: { preStop: { exec: { command: ["sh", "-c", "echo pre-stop >/shared/stopped"] } } },
            volumeMounts: [
              { name: "shared", mountPath: "/shared" },
              { name: "cm", mountPath: "/config", readOnly: true },
              { name: "memory", mountPath: "/memory" },
            ],
          },
        ),
      ],
      volumes: [
        { name: "shared", emptyDir: {} },
        { name: "cm", configMap: { name: "cm" } },
        { name: "memory", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
      ],
    });
    const up = await world.until("full", "ready", ready);
    assert.match(up.status?.podIP ?? "", /^10\.244\.1\.\d+$/);
    assert.equal(up.status?.podIPs?.length, 2);
    assert.equal((await logs("full")).text.replace("problem\n", ""), `from-init\nhello from ${up.status?.podIP}\n`);
    const out = await exec(
      "full",
      [
        "sh",
        "-c",
        "cat; hostname; cat /config/key; cat /run/secrets/kubernetes.io/serviceaccount/namespace; df -k /memory | tail -1 | tr -s ' ' | cut -d' ' -f2; echo e >&2; exit 3",
      ],
      { input: "typed\n" },
    );
    assert.equal(out[1], "typed\nfull\nonedefault1024\n");
    assert.equal(out[2], "e\n");
    assert.match(out[3] ?? "", /"reason":"ExitCode","message":"3"/);
    assert.match((await exec("full", ["sh", "-c", "tty; stty size"], { tty: true }))[1] ?? "", /^\/dev\/pts\/\d+/);

    await world.client.patch<ConfigMap>(
      RESOURCES.configMaps,
      { namespace: "default", name: "cm" },
      { type: "merge", body: { data: { key: "two" } } },
    );
    const live = await exec("full", [
      "sh",
      "-c",
      "for i in $(seq 100); do grep -q two /config/key && echo changed && exit; sleep 0.05; done",
    ]);
    assert.equal(live[1], "changed\n");

    const uid = pod.metadata.uid ?? "";
    await world.remove("full");
    await world.gone("full");
    assert.ok(!existsSync(podCgroup(world.instance, "node1", uid)));
    assert.ok(!instanceNetns(ID).includes(podNetns(ID, uid)));
    assert.ok(!existsSync(join(world.instance.runDir, "node1/pods", uid)));
    assert.ok(!readFileSync("/proc/mounts", "utf8").includes(uid));
    assert.deepEqual(readdirSync(join(world.instance.dataDir, "logs")), []);
  });

  test("a crashing container is restarted with back-off, and its previous log is kept", async () => {
    await world.run("crash", { containers: [sh("echo run; exit 3")] });
    const pod = await world.until(
      "crash",
      "in back-off after a restart",
      (p) => state(p)?.restartCount === 1 && state(p)?.state?.waiting?.reason === "CrashLoopBackOff",
    );
    assert.equal(state(pod)?.lastState?.terminated?.exitCode, 3);
    assert.deepEqual(await logs("crash", "?previous=true&tailLines=1"), { code: 200, text: "run\n" });
    await world.remove("crash", 0);
    await world.gone("crash");
  });

  test("a pod that ends is Succeeded or Failed, its log stays readable, its network goes", async () => {
    await world.run("good", { restartPolicy: "Never", containers: [sh("echo done")] });
    await world.run("bad", { restartPolicy: "Never", containers: [sh("exit 2")] });
    const good = await world.until("good", "Succeeded", (p) => p.status?.phase === "Succeeded");
    await world.until("bad", "Failed", (p) => p.status?.phase === "Failed" && state(p)?.state?.terminated?.exitCode === 2);
    assert.deepEqual(await logs("good"), { code: 200, text: "done\n" });
    assert.equal(good.status?.conditions?.find((c) => c.type === "Ready")?.reason, "PodCompleted");
    for (const name of ["good", "bad"]) {
      await world.remove(name);
      await world.gone(name);
    }
  });

  test("a failing liveness probe restarts the container; a failing readiness probe only takes it out", async () => {
    await world.run("probed", {
      terminationGracePeriodSeconds: 1,
      containers: [
        sh("touch /alive /ready; [ -e /shared/again ] || { touch /shared/again; sleep 1; rm /alive; }; sleep 1; rm /ready; sleep 1000", {
          livenessProbe: { exec: { command: ["test", "-e", "/alive"] }, periodSeconds: 1, failureThreshold: 2, initialDelaySeconds: 1 },
          readinessProbe: { exec: { command: ["test", "-e", "/ready"] }, periodSeconds: 1, failureThreshold: 1 },
          volumeMounts: [{ name: "shared", mountPath: "/shared" }],
        }),
      ],
      volumes: [{ name: "shared", emptyDir: {} }],
    });
    await world.until("probed", "restarted", (p) => state(p)?.restartCount === 1 && state(p)?.state?.running !== undefined);
    await world.until("probed", "running and not ready", (p) => state(p)?.restartCount === 1 && state(p)?.started === true && !ready(p));
    await world.remove("probed", 0);
    await world.gone("probed");
  });

  test("what keeps a container from starting is its waiting reason, and is mended", async () => {
    await world.run("image", { containers: [{ name: "c", image: "nginx:1" }] });
    await world.run("config", {
      containers: [sh("sleep 1000", { env: [{ name: "K", valueFrom: { configMapKeyRef: { name: "later", key: "k" } } }] })],
    });
    const image = await world.until("image", "refused", (p) => state(p)?.state?.waiting?.reason === "ErrImagePull");
    assert.match(state(image)?.state?.waiting?.message ?? "", /images are not pulled here/);
    await world.until("config", "refused", (p) => state(p)?.state?.waiting?.reason === "CreateContainerConfigError");
    assert.equal((await logs("config")).code, 400);
    await world.client.create<ConfigMap>(RESOURCES.configMaps, { metadata: { name: "later", namespace: "default" }, data: { k: "v" } });
    await world.until("config", "ready", ready);
    for (const name of ["image", "config"]) {
      await world.remove(name, 0);
      await world.gone(name);
    }
  });

  test("a hostNetwork pod has the node's addresses; a SIGTERM that is ignored ends after the grace", async () => {
    await world.run("host", {
      hostNetwork: true,
      terminationGracePeriodSeconds: 1,
      containers: [sh("trap '' TERM; ip -o -4 addr show eth0; while :; do sleep 1; done")],
    });
    const pod = await world.until("host", "ready", ready);
    assert.equal(pod.status?.podIP, "172.30.0.11");
    const start = performance.now();
    await world.remove("host");
    await world.gone("host");
    assert.ok(performance.now() - start > 900);
  });

  test("killing the kubelet leaves pods running; the next one takes them over, restarts and deletes them", async () => {
    await world.run("stays", {
      containers: [
        sh("n=0; while :; do n=$((n+1)); echo $n; sleep 0.1; done", { readinessProbe: { exec: { command: ["true"] }, periodSeconds: 1 } }),
      ],
    });
    await world.run("dies", { terminationGracePeriodSeconds: 1, containers: [sh("echo $$; sleep 1000")] });
    await world.run("removed", { terminationGracePeriodSeconds: 1, containers: [sh("sleep 1000")] });
    const before = await world.until("stays", "ready", ready);
    const dies = await world.until("dies", "ready", ready);
    const removed = await world.until("removed", "ready", ready);
    const pids = readFileSync(join(podCgroup(world.instance, "node1", before.metadata.uid ?? ""), "c/cgroup.procs"), "utf8").split("\n");
    await world.killNode();
    await world.remove("removed");
    const victim = readFileSync(join(podCgroup(world.instance, "node1", dies.metadata.uid ?? ""), "c/cgroup.procs"), "utf8").split("\n")[0];
    process.kill(Number(victim), "SIGKILL");
    await world.startNode();
    await world.gone("removed");
    assert.ok(!existsSync(podCgroup(world.instance, "node1", removed.metadata.uid ?? "")));
    const again = await world.until("dies", "restarted", (p) => state(p)?.restartCount === 1 && state(p)?.state?.running !== undefined);
    assert.equal(state(again)?.lastState?.terminated?.exitCode, 137);
    const after = await world.until("stays", "ready", ready);
    assert.equal(state(after)?.restartCount, 0);
    assert.ok(
      readFileSync(join(podCgroup(world.instance, "node1", after.metadata.uid ?? ""), "c/cgroup.procs"), "utf8").includes(pids[0] ?? "-"),
    );
    const first = (await logs("stays")).text.split("\n").length;
    const more = await exec("stays", ["sh", "-c", "sleep 0.5"]);
    assert.match(more[3] ?? "", /Success/);
    assert.ok((await logs("stays")).text.split("\n").length > first, "the log goes on");
    for (const name of ["stays", "dies"]) {
      await world.remove(name, 0);
      await world.gone(name);
    }
  });
});
