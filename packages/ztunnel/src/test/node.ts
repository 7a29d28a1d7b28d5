// How does a test run ztunnels over namespaces of its own, and read what they say?

import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { workloadCert } from "@ambit/shared/ca/workload-cert.ts";
import { createTunnelPool } from "@ambit/shared/hbone/pool.ts";
import { type SpiffeId, spiffeId } from "@ambit/shared/identity/spiffe.ts";
import { envFrom } from "@ambit/shared/runtime/env.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import { ip } from "@ambit/shared/state/fixtures.ts";
import { createLogger } from "@ambit/shared/telemetry/log.ts";
import type { CertificateAuthority } from "@ambit/shared/tls/issue.ts";
import { build, type ZtunnelApp } from "../app.ts";
import { parseConfig } from "../config.ts";
import type { Spawn } from "../thread/spawn.ts";
import { type AgentSession, createTestAgent, issue, type TestAgent, type TestController } from "./mesh.ts";
import { dialFrom, type TestPod } from "./net.ts";

export type TestNode = { readonly app: ZtunnelApp; readonly agent: AgentSession; readonly stop: () => Promise<void> };

export type TestNodes = {
  /**
   * A ztunnel that serves the pods before this resolves; `env` is added to what every test sets. With `NODE_NAME` of another one it
   * runs on the same node: same agent, same shared directory.
   */
  start(name: string, pods: readonly TestPod[], env?: Readonly<Record<string, string>>): Promise<TestNode>;
  /** A line of any ztunnel's log ("<name>\t<line>"), past or to come. */
  logged(pattern: RegExp, withinMs?: number): Promise<string>;
  /** Forgets what was logged so far. */
  forget(): void;
};

const world = realWorld();

/** What the CNI agent says of a pod: service account and name are the same, the namespace is "ns". */
export const announce = (p: Pick<TestPod, "name">) =>
  ({ kind: "add", uid: `uid-${p.name}`, workload: { name: p.name, namespace: "ns", serviceAccount: p.name } }) as const;

const TEST_ENV = { ADMIN_PORT: "0", STATS_PORT: "0", READINESS_PORT: "0", CONNECTION_TERMINATION_DEADLINE: "1s" };

/** Ztunnels whose sockets and logs are kept under `dir`, fed by the controller. */
export const createTestNodes = (dir: string, controller: TestController, spawn?: Spawn): TestNodes => {
  const lines: string[] = [];
  const agents = new Map<string, { readonly agent: TestAgent; users: number }>();
  const agentOf = (node: string): TestAgent => {
    const held = agents.get(node) ?? { agent: createTestAgent(mkdtempSync(join(dir, node))), users: 0 };
    held.users++;
    agents.set(node, held);
    return held.agent;
  };
  const release = (node: string): void => {
    const held = agents.get(node);
    if (held === undefined || --held.users > 0) return;
    agents.delete(node);
    held.agent[Symbol.dispose]();
  };
  return {
    start: async (name, pods, env = {}) => {
      const node = env.NODE_NAME ?? name;
      const agent = agentOf(node);
      const config = parseConfig(envFrom({ INPOD_UDS: agent.path, ...TEST_ENV, ...env }));
      assert.ok(config.ok, config.ok ? "" : config.error);
      const write = (text: string): void => void lines.push(...text.split(/(?<=\n)/).map((line) => `${name}\t${line}`));
      const logger = createLogger({ format: "text", level: "debug", out: { write } });
      const app = await build({
        config: config.value,
        world,
        logger,
        sources: controller.sources(),
        ...(spawn === undefined ? {} : { spawn }),
      }).catch((e: unknown) => {
        release(node);
        throw e;
      });
      controller.settle(app.settled);
      const stop = new AbortController();
      const running = app.run(stop.signal);
      const session = await agent.session();
      for (const p of pods) assert.deepEqual(await session.tell(announce(p), [p.netns.fd]), { error: "" });
      assert.deepEqual(await session.tell({ kind: "snapshot-sent" }), { error: "" });
      return {
        app,
        agent: session,
        stop: async () => {
          stop.abort(new Error("test over"));
          await running;
          await app[Symbol.asyncDispose]();
          release(node);
        },
      };
    },
    logged: async (pattern, withinMs = 5_000) => {
      const deadline = AbortSignal.timeout(withinMs);
      for (;;) {
        const found = lines.find((l) => pattern.test(l));
        if (found !== undefined) return found;
        if (deadline.aborted) throw new Error(`no line matches ${pattern}:\n${lines.join("")}`);
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    forget: () => void lines.splice(0),
  };
};

/** A path of the node's admin server. */
export const ask = async (node: TestNode, path: string): Promise<{ status: number; body: string }> => {
  const r = await fetch(`http://127.0.0.1:${node.app.ports.admin}${path}`);
  return { status: r.status, body: await r.text() };
};

/** A tunnel opened by hand from inside a pod, as a peer with the identity would: "200", or why there is none. */
export const connectAs = async (
  ca: CertificateAuthority,
  who: { readonly identity: SpiffeId; readonly from: TestPod },
  to: TestPod,
  authority: string,
): Promise<string> => {
  const { identity, from } = who;
  const cert = unwrap(workloadCert(identity, issue(ca, identity)));
  const pool = createTunnelPool({ cert: async () => cert, dial: (peer) => dialFrom(from, peer.ip, peer.port, false), world });
  try {
    const expect = [spiffeId("cluster.local", "ns", to.name)];
    const target = { self: identity, expect, to: { ip: ip(to.v4), port: 15008 }, from: from.v4 };
    const tunnel = await pool.connect(target, { authority, headers: {} });
    tunnel.stream.destroy();
    return "200";
  } catch (e) {
    return e instanceof Error ? e.message : String(e);
  } finally {
    pool.close();
  }
};
