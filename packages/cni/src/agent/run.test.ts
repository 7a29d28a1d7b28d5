// Does the agent do the right things for a pod, in the right order, through failures, restarts and missing knowledge?

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { KubeError } from "@ambit/shared/kube/error.ts";
import type { Namespace } from "@ambit/shared/kube/objects/core.ts";
import type { Pod } from "@ambit/shared/kube/objects/pod.ts";
import type { ReflectorEvent } from "@ambit/shared/kube/reflector.ts";
import type { Netns } from "@ambit/shared/linux/netns.ts";
import { createLogger } from "@ambit/shared/telemetry/log.ts";
import { createAgent } from "./run.ts";

const AMBIENT = { "istio.io/dataplane-mode": "ambient" };
const ns = (labels: Record<string, string>): Namespace => ({ metadata: { name: "ns", labels } });
type Over = {
  readonly labels?: Record<string, string>;
  readonly annotation?: string;
  readonly ready?: boolean;
  readonly ip?: string;
  readonly deleting?: boolean;
};
const pod = ({ labels = {}, annotation, ready = false, ip = "10.0.0.1", deleting = false }: Over = {}): Pod => ({
  metadata: {
    name: "p",
    namespace: "ns",
    uid: "u",
    labels,
    ...(deleting ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}),
    ...(annotation === undefined ? {} : { annotations: { "ambient.istio.io/redirection": annotation } }),
  },
  spec: { containers: [] },
  status: {
    phase: "Running",
    ...(ip === "" ? {} : { podIP: ip }),
    conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
  },
});

/** A reflector whose events the test makes; it replays nothing. */
const source = <T extends { readonly metadata: { readonly name: string } }>() => {
  const held = new Map<string, T>();
  let listener: (events: readonly ReflectorEvent<T>[]) => void = () => undefined;
  return {
    subscribe: (l: typeof listener) => {
      listener = l;
      return () => undefined;
    },
    get: (key: string) => held.get(key),
    put: (object: T): void => {
      const old = held.get(object.metadata.name);
      held.set(object.metadata.name, object);
      listener([{ type: "upsert", object, old }]);
    },
    remove: (name: string): void => {
      const old = held.get(name);
      held.delete(name);
      if (old !== undefined) listener([{ type: "delete", old }]);
    },
  };
};

const start = (t: TestContext, namespace: Namespace | undefined = ns(AMBIENT)) => {
  const did: string[] = [];
  const said: string[] = [];
  const sleeps: (() => void)[] = [];
  const state = { netns: true, ztunnel: true, openNetns: 0, fail: new Map<string, unknown>() };
  const pods = source<Pod>();
  const namespaces = source<Namespace>();
  const act = async (what: string): Promise<void> => {
    const failure = state.fail.get(what);
    if (failure !== undefined) throw failure;
    did.push(what);
  };
  const openNetns = (): Netns => {
    state.openNetns++;
    return { fd: 7, identity: { dev: 1n, ino: 1n }, [Symbol.dispose]: () => void state.openNetns-- };
  };
  const agent = createAgent({
    pods,
    namespaces,
    excludeNamespaces: [],
    captureDns: true,
    actions: {
      findNetns: () => (state.netns ? openNetns() : undefined),
      writeRules: () => act("write-rules"),
      deleteRules: () => act("delete-rules"),
      addProbes: () => act("add-probes"),
      removeProbes: () => act("remove-probes"),
      annotate: (_pod, value) => act(`annotate ${value ?? "nothing"}`),
    },
    zds: () => ({
      add: (uid, info, fd) =>
        state.ztunnel ? act(`announce ${uid} ${info.name} ${fd}`) : Promise.reject(new Error("no ztunnel is connected")),
      del: (uid) => act(`withdraw ${uid}`),
      terminating: (uid) => act(`farewell ${uid}`),
    }),
    world: {
      now: () => 0,
      random: () => 0.5,
      sleep: (_ms, signal) =>
        new Promise((resolve, reject) => {
          if (signal?.aborted) return reject(signal.reason);
          sleeps.push(resolve);
          signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
        }),
    },
    log: createLogger({ format: "text", level: "info", out: { write: (line) => void said.push(line) } }).scope("t"),
    onStep: () => undefined,
  });
  if (namespace !== undefined) namespaces.put(namespace);
  const stop = new AbortController();
  const running = agent.run(stop.signal);
  t.after(async () => {
    stop.abort();
    await running;
  });
  const settled = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  /** What was done since the last look. */
  const done = async (): Promise<string[]> => {
    await settled();
    return did.splice(0);
  };
  const retry = (): void => {
    for (const wake of sleeps.splice(0)) wake();
  };
  return { agent, pods, namespaces, state, done, retry, said, stop, running };
};

const ANNOUNCE = "announce u p 7";
const CAPTURE = ["add-probes", "write-rules", ANNOUNCE, "annotate enabled"];
const LET_GO = ["delete-rules", "withdraw u", "remove-probes", "annotate nothing"];

test("a pod that is told to end is told of once, at once; its end follows", async (t) => {
  const { pods, done, agent } = start(t);
  pods.put(pod({ ready: true, annotation: "enabled" }));
  await done();
  pods.put(pod({ ready: true, annotation: "enabled", deleting: true }));
  assert.deepEqual(await done(), ["farewell u"]);
  assert.equal(agent.snapshot()[0]?.ending, true);
  pods.put(pod({ annotation: "enabled", deleting: true }));
  assert.deepEqual(await done(), []);
  pods.remove("p");
  assert.deepEqual(await done(), ["remove-probes", "withdraw u"]);
});

test("a pod that starts gets its rules before ztunnel hears of it; one that serves gets its listeners first", async (t) => {
  const starting = start(t);
  starting.pods.put(pod());
  assert.deepEqual(await starting.done(), CAPTURE);
  assert.deepEqual(starting.agent.report("ns", "p")?.done, {
    rules: "yes",
    announced: true,
    farewell: false,
    probes: true,
    annotation: "enabled",
  });
  assert.equal(starting.agent.captured(), 1);
  const serving = start(t);
  serving.pods.put(pod({ ready: true }));
  assert.deepEqual(await serving.done(), ["add-probes", ANNOUNCE, "write-rules", "annotate enabled"]);
});

test("a captured pod stays captured while its namespace is not known, and is let go when that turns out unlabelled", async (t) => {
  const { agent, pods, namespaces, done } = start(t);
  pods.put(pod());
  await done();
  namespaces.remove("ns");
  pods.put(pod({ annotation: "enabled", ready: true }));
  assert.deepEqual(await done(), []);
  assert.equal(agent.report("ns", "p")?.text, "left as it is: its namespace is not known yet");
  assert.deepEqual(agent.snapshot(), [
    { uid: "u", info: { name: "p", namespace: "ns", serviceAccount: "default" }, netns: 7, ending: false },
  ]);
  assert.equal(agent.captured(), 1);
  namespaces.put(ns({}));
  assert.deepEqual(await done(), LET_GO);
  assert.deepEqual(agent.snapshot(), []);
});

test("a captured pod stays captured while its status has no address; a new one waits for it", async (t) => {
  const captured = start(t);
  captured.pods.put(pod());
  await captured.done();
  captured.pods.put(pod({ annotation: "enabled", ip: "" }));
  assert.deepEqual(await captured.done(), []);
  assert.equal(captured.agent.snapshot().length, 1);
  const fresh = start(t);
  fresh.pods.put(pod({ ip: "" }));
  assert.deepEqual(await fresh.done(), []);
  assert.deepEqual(fresh.agent.snapshot(), []);
  fresh.pods.put(pod());
  assert.deepEqual(await fresh.done(), CAPTURE);
});

test("the label goes: let go, and its namespace is held no more", async (t) => {
  const { pods, state, done } = start(t);
  pods.put(pod());
  await done();
  assert.equal(state.openNetns, 1);
  pods.put(pod({ annotation: "enabled", labels: { "istio.io/dataplane-mode": "none" } }));
  assert.deepEqual(await done(), LET_GO);
  assert.equal(state.openNetns, 0);
});

test("a pod that is deleted is withdrawn, its namespace is left alone and held no more", async (t) => {
  const { agent, pods, state, done } = start(t);
  pods.put(pod());
  await done();
  pods.remove("p");
  assert.deepEqual(await done(), ["remove-probes", "withdraw u"]);
  assert.equal(state.openNetns, 0);
  assert.equal(agent.report("ns", "p"), undefined);
});

test("without a ztunnel the pod is marked pending, and captured as soon as one comes", async (t) => {
  const { agent, pods, state, done, said } = start(t);
  state.ztunnel = false;
  pods.put(pod());
  assert.deepEqual(await done(), ["add-probes", "write-rules", "annotate pending"]);
  assert.equal(agent.report("ns", "p")?.lastError, "no ztunnel is connected");
  assert.equal(agent.snapshot().length, 1, "its traffic goes to ztunnel already");
  state.ztunnel = true;
  agent.wakeAll();
  assert.deepEqual(await done(), [ANNOUNCE, "annotate enabled"]);
  assert.equal(agent.report("ns", "p")?.lastError, undefined);
  assert.equal(said.filter((l) => l.includes("no ztunnel is connected")).length, 1);
});

test("a step that fails is tried again and its reason told once; a pod without processes is waited for", async (t) => {
  const { agent, pods, state, done, retry, said } = start(t);
  state.netns = false;
  pods.put(pod());
  assert.deepEqual(await done(), ["add-probes"]);
  retry();
  await done();
  assert.match(agent.report("ns", "p")?.lastError ?? "", /no process of the pod runs yet/);
  state.netns = true;
  state.fail.set("write-rules", new Error("nft failed"));
  retry();
  assert.deepEqual(await done(), []);
  state.fail.clear();
  retry();
  assert.deepEqual(await done(), CAPTURE.slice(1));
  assert.deepEqual(
    [/no process/, /nft failed/].map((what) => said.filter((l) => what.test(l)).length),
    [1, 1],
  );
});

test("news that come while a step fails are acted on at once, without waiting for the next try", async (t) => {
  const { pods, namespaces, state, done } = start(t);
  state.fail.set("write-rules", new Error("nft failed"));
  pods.put(pod());
  namespaces.put(ns({}));
  assert.deepEqual(
    (await done()).filter((d) => d !== "add-probes" && d !== "remove-probes"),
    [],
  );
  namespaces.put(ns(AMBIENT));
  await done();
  state.fail.clear();
  namespaces.put(ns(AMBIENT));
  assert.deepEqual(await done(), CAPTURE.slice(1));
});

test("after a restart: a captured pod is in the snapshot at once, and its rules are written again", async (t) => {
  const { agent, pods, done } = start(t);
  pods.put(pod({ annotation: "enabled", ready: true }));
  assert.equal(agent.snapshot().length, 1);
  assert.deepEqual(await done(), ["add-probes", ANNOUNCE, "write-rules"]);
});

test("after a restart a pod that is no longer wanted is let go, but not one whose namespace is not known yet", async (t) => {
  const unlabelled = start(t, ns({}));
  unlabelled.pods.put(pod({ annotation: "enabled", ready: true }));
  assert.deepEqual(await unlabelled.done(), ["delete-rules", "annotate nothing"]);
  const unknown = start(t, ns({}));
  unknown.namespaces.remove("ns");
  unknown.pods.put(pod({ annotation: "enabled", ready: true }));
  assert.deepEqual(await unknown.done(), []);
  assert.equal(unknown.agent.snapshot().length, 1);
});

test("a pod that is gone when it is annotated is not tried again", async (t) => {
  const { pods, state, done, retry } = start(t);
  state.fail.set("annotate enabled", new KubeError({ status: 404, reason: "NotFound", message: "no such pod", body: {} }));
  pods.put(pod());
  assert.deepEqual(await done(), CAPTURE.slice(0, 3));
  retry();
  assert.deepEqual(await done(), []);
});

test("the node leaves the mesh: every pod is let go, also one whose namespace is not known", async (t) => {
  const { agent, pods, namespaces, done, stop, running } = start(t);
  pods.put(pod());
  await done();
  namespaces.remove("ns");
  stop.abort();
  await running;
  await agent.release(new AbortController().signal);
  assert.deepEqual(await done(), LET_GO);
});

test("a pod that cannot be let go does not hold up the end for ever", async (t) => {
  const { agent, pods, done, stop, running, state } = start(t);
  pods.put(pod());
  await done();
  stop.abort();
  await running;
  state.fail.set("delete-rules", new Error("nft failed"));
  const until = new AbortController();
  const released = agent.release(until.signal);
  assert.deepEqual(await done(), []);
  until.abort();
  await released;
  assert.equal(agent.report("ns", "p")?.lastError, "nft failed");
});
