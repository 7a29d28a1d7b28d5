// Does live traffic go on, unharmed, while the root under it is replaced? (real CA over gRPC, real certificates, real tunnels)

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createCaClient } from "@ambit/shared/ca/client.ts";
import { ANNOTATION } from "@ambit/shared/ca/root-secret.ts";
import { followRoots } from "@ambit/shared/ca/roots.ts";
import { createCertStore } from "@ambit/shared/ca/store.ts";
import type { CertStore } from "@ambit/shared/ca/types.ts";
import { createChannel } from "@ambit/shared/grpc/channel.ts";
import { serveGrpc } from "@ambit/shared/grpc/serve.ts";
import { serveTunnels } from "@ambit/shared/hbone/accept.ts";
import { createTunnelPool } from "@ambit/shared/hbone/pool.ts";
import type { TunnelPool } from "@ambit/shared/hbone/types.ts";
import { parseSpiffeId, spiffeId } from "@ambit/shared/identity/spiffe.ts";
import { createKubeClient } from "@ambit/shared/kube/client.ts";
import type { ConfigMap, Secret } from "@ambit/shared/kube/objects/core.ts";
import { ok } from "@ambit/shared/runtime/result.ts";
import { realWorld } from "@ambit/shared/runtime/run.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { startObjectServer } from "../kube/test/object-server.ts";
import { meshOf, namespace } from "../model/test/fixtures.ts";
import { publishToNamespaces, ROOT_CERT } from "./apply.ts";
import { rootsText } from "./authority.ts";
import { createServingCertificate } from "./serve.ts";
import { createCaService } from "./server.ts";
import { createCaStore } from "./store.ts";

const HOUR = 3_600_000;
const SECRET = "istio-system/istio-ca-secret";
/** Renewals are spread over seconds by chance: here they come soon. */
const world: World = { ...realWorld(), random: () => 0.02 };
const log = (): void => undefined;

test("a root is rotated under load: no connection fails, old or new, and in the end only the new root is trusted", {
  timeout: 60_000,
}, async (t) => {
  await using scope = new AsyncDisposableStack();
  const stop = new AbortController();
  const dir = mkdtempSync(join(tmpdir(), "ambit-rotate-"));
  scope.defer(() => rmSync(dir, { recursive: true }));
  const objects = scope.use(await startObjectServer());
  const client = createKubeClient(objects.config, world);
  scope.defer(() => client.close());

  // The controller.
  const settings = {
    namespace: "istio-system",
    trustDomain: "cluster.local",
    rootLifetimeMs: 1000 * HOUR,
    introduceMs: HOUR,
    retireMs: HOUR,
    gracePercent: 20,
  };
  const ca = await createCaStore({ client, world, log }, settings);
  const authority = () => ca.current().authority;
  const serving = createServingCertificate({ authority, onChange: ca.onChange, names: ["istiod.istio-system.svc"] }, world);
  const service = createCaService({
    authority,
    review: async () => ok({ namespace: "istio-system", serviceAccount: "ztunnel", pod: undefined }),
    authorize: ({ impersonated }) => parseSpiffeId(impersonated ?? ""),
    lifetimes: { defaultMs: HOUR, maxMs: HOUR },
    world,
    log,
  });
  const grpc = await serveGrpc({ bind: "127.0.0.1:0", tls: serving, services: [service] });
  scope.defer(() => grpc.close());
  const m = meshOf({ namespaces: [namespace("istio-system")] });
  const publish = {
    client,
    namespaces: m.inputs.namespaces,
    map: ROOT_CERT,
    content: () => rootsText(authority()),
    onChange: ca.onChange,
    world,
    log,
  };
  const running: Promise<unknown>[] = [
    ca.run(stop.signal),
    ca.rotate(stop.signal),
    serving.run(stop.signal),
    publishToNamespaces(publish, stop.signal),
  ];
  scope.defer(async () => {
    stop.abort(new Error("test over"));
    await Promise.all(running);
  });

  // What a kubelet does for the proxies' pods: the ConfigMap as a file.
  const path = join(dir, "root-cert.pem");
  const published = (): string =>
    (objects.get("/api/v1/configmaps", "istio-system/istio-ca-root-cert") as ConfigMap | undefined)?.data?.["root-cert.pem"] ?? "";
  await objects.until(() => published() !== "", "the first root");
  const mount = (): void => {
    writeFileSync(`${path}.new`, published());
    renameSync(`${path}.new`, path);
  };
  mount();

  // Two proxies, each with a certificate of its own.
  const roots = { kind: "file", path } as const;
  const proxy = async (): Promise<CertStore> => {
    const channel = createChannel({
      address: `127.0.0.1:${grpc.port}`,
      roots,
      serverName: "istiod.istio-system.svc",
      headers: { authorization: "Bearer x" },
    });
    const { fetch } = createCaClient({ channel, ttlMs: HOUR, impersonate: true });
    const certs = createCertStore({ fetch, world, log });
    const { done } = await followRoots({ roots, certs, world, log, debounceMs: 20 }, stop.signal);
    running.push(done);
    scope.defer(() => {
      certs.close();
      channel.close();
    });
    return certs;
  };
  const [here, there] = [await proxy(), await proxy()];
  const [source, destination] = ["source", "destination"].map((sa) => spiffeId("cluster.local", "ns", sa)) as [
    ReturnType<typeof spiffeId>,
    ReturnType<typeof spiffeId>,
  ];
  await Promise.all([here.get(source), there.get(destination)]);
  const refused: string[] = [];
  const server = await serveTunnels({
    listen: { host: "127.0.0.1", port: 0 },
    certs: () => there.peek(destination),
    trustDomain: "cluster.local",
    onRequest: (r) => {
      const stream = r.accept({});
      stream.on("error", () => undefined);
      stream.pipe(stream);
    },
    world,
    log: (event, fields) => void refused.push(`${event} ${JSON.stringify(fields)}`),
  });
  scope.defer(() => server.close());
  const newPool = (): TunnelPool =>
    createTunnelPool({
      cert: (id) => here.get(id),
      dial: async (to) => {
        const socket = connectTcp({ host: to.ip, port: to.port });
        await once(socket, "connect");
        return socket;
      },
      world,
    });
  const target = { self: source, expect: [destination], to: server.address, from: "" };
  const exchange = async (stream: NodeJS.ReadWriteStream): Promise<void> => {
    stream.write("x");
    await once(stream, "data");
  };
  /** A handshake of its own each time. */
  let made = 0;
  const connectAnew = async (): Promise<void> => {
    const pool = newPool();
    const { stream } = await pool.connect(target, { authority: "10.0.0.1:80", headers: {} });
    stream.on("error", () => undefined);
    await exchange(stream);
    pool.close();
    made++;
  };
  const old = newPool();
  scope.defer(() => old.close());
  const { stream: lasting } = await old.connect(target, { authority: "10.0.0.1:80", headers: {} });
  lasting.on("error", () => undefined);

  // The load runs until told to stop; its failure is the test's.
  let over = false;
  const load = (async () => {
    while (!over) {
      await connectAnew();
      await exchange(lasting);
    }
  })();
  const until = (holds: () => boolean, says: string): Promise<unknown> => Promise.race([objects.until(holds, says), load]);
  const phase = (): string | undefined => objects.get("/api/v1/secrets", SECRET)?.metadata.annotations?.[ANNOTATION.phase];
  const secret = objects.get("/api/v1/secrets", SECRET) as Secret;
  const first = authority().signer.certPem;
  /** The root by which a proxy's own certificate is signed now, and how many roots it trusts. */
  const signedBy = async (certs: CertStore, id: typeof source): Promise<{ byFirst: boolean; roots: number }> => {
    const cert = await certs.get(id);
    return { byFirst: cert.leaf.x509.verify(new X509Certificate(first).publicKey), roots: cert.rootsPem.length };
  };
  /** Both proxies have renewed since: told by the events of their stores. */
  const renewed = (): Promise<unknown> =>
    Promise.all([here, there].map((certs) => new Promise<void>((resolve) => certs.onRenew(() => resolve()))));

  let both = renewed();
  objects.put("/api/v1/secrets", {
    ...secret,
    metadata: { ...secret.metadata, annotations: { [ANNOTATION.asked]: "now", [ANNOTATION.introduce]: "3s", [ANNOTATION.retire]: "3s" } },
  } as Secret);
  await until(() => published().split("BEGIN").length === 3, "both roots published");
  mount();
  await Promise.race([both, load]);
  assert.deepEqual(await signedBy(here, source), { byFirst: true, roots: 2 }, "known before it is met");
  await until(() => phase() === "retiring", "the switch");
  both = renewed();
  here.renewAll("as at half of its life");
  await Promise.race([new Promise<void>((resolve) => here.onRenew(() => resolve())), load]);
  assert.deepEqual(
    [(await signedBy(here, source)).byFirst, (await signedBy(there, destination)).byFirst],
    [false, true],
    "one new, one old: they talk",
  );
  there.renewAll("as at half of its life");
  await Promise.race([both, load]);
  await until(() => phase() === undefined && published().split("BEGIN").length === 2, "the old root dropped");
  both = renewed();
  mount();
  await Promise.race([both, load]);
  for (const [certs, id] of [
    [here, source],
    [there, destination],
  ] as const)
    assert.deepEqual(await signedBy(certs, id), { byFirst: false, roots: 1 });
  await connectAnew();
  over = true;
  await load;
  await exchange(lasting);
  assert.deepEqual(
    refused.filter((l) => /failed|refused/.test(l) && !/close_notify/.test(l)),
    [],
  );
  assert.ok(made > 10, `${made} connections`);
  t.diagnostic(`${made} handshakes, none failed`);
});
