// Is the CA asked for what the words say, and nothing done where it cannot be?

import assert from "node:assert/strict";
import { test } from "node:test";
import { createRoot } from "@ambit/shared/tls/issue.ts";
import type { Context } from "../context.ts";
import { createProgram } from "../program.ts";
import { serialOf } from "./ca.ts";

const NOW = Date.UTC(2026, 5, 1);
const root = createRoot({ organization: "cluster.local", notBefore: NOW, notAfter: NOW + 86_400_000 * 100 });
const b64 = (text: string) => Buffer.from(text).toString("base64");

const run = async (objects: Record<string, object>, ...args: string[]) => {
  const printed: string[] = [];
  const patches: object[] = [];
  const client = {
    get: async (_r: unknown, key: { name: string }) => objects[key.name],
    patch: async (_r: unknown, key: object, patch: { body: object }) => void patches.push({ ...key, ...patch.body }),
  };
  const ctx = {
    cluster: () => ({ client }),
    world: { now: () => NOW },
    print: (text: string) => void printed.push(text),
    note: () => undefined,
  } as unknown as Context;
  let error = "";
  try {
    await createProgram("test", ctx, () => undefined).parseAsync(["node", "ambit", "ca", ...args]);
  } catch (e) {
    error = e instanceof Error ? e.message : String(e);
  }
  return { printed, patches, error };
};
const secret = (annotations: object = {}, data: object = {}) => ({
  metadata: { name: "istio-ca-secret", resourceVersion: "7", annotations },
  data: { "ca-cert.pem": b64(root.certPem), ...data },
});
const own = (...args: [object?, object?]) => ({ "istio-ca-secret": secret(...args) });

test("rotate: a new wish, with its times or without those of an earlier one", async () => {
  const { patches } = await run(own(), "rotate", "--retire", "1h");
  assert.deepEqual(patches, [
    {
      namespace: "istio-system",
      name: "istio-ca-secret",
      metadata: {
        annotations: {
          "ambit.dev/rotate-root": "2026-06-01T00:00:00.000Z",
          "ambit.dev/rotate-root-introduce": null,
          "ambit.dev/rotate-root-retire": "1h",
        },
      },
    },
  ]);
});

test("revoke: added to those before, with the version that was read", async () => {
  const before = [{ serial: "A", at: "2026-01-01T00:00:00Z" }];
  const { patches, printed } = await run(own({}, { "revoked.json": b64(JSON.stringify(before)) }), "revoke", "5f:5c", "0x0A");
  const data = { "revoked.json": b64(JSON.stringify([...before, { serial: "5F5C", at: "2026-06-01T00:00:00.000Z" }])) };
  assert.deepEqual(patches, [{ namespace: "istio-system", name: "istio-ca-secret", metadata: { resourceVersion: "7" }, data }]);
  assert.match(printed[0] ?? "", /^revoked 5F5C:/);
});

const refusals: [string, Record<string, object>, string[], RegExp][] = [
  ["no CA", {}, ["rotate"], /there is no Secret istio-system\/istio-ca-secret/],
  ["one that is brought", { ...own(), cacerts: secret() }, ["rotate"], /brought by Secret istio-system\/cacerts/],
  ["under way", own({ "ambit.dev/root-phase": "retiring" }), ["rotate"], /under way \(retiring\)/],
  ["no duration", own(), ["rotate", "--introduce", "soon"], /--introduce soon: want a duration/],
  ["no serial number", own(), ["revoke", "xyz"], /"xyz" is not a serial number/],
];
for (const [name, objects, args, says] of refusals)
  test(`ca refused: ${name}`, async () => {
    const { error, patches } = await run(objects, ...args);
    assert.match(error, says);
    assert.deepEqual(patches, []);
  });

test("status", async () => {
  const published = { "istio-ca-root-cert": { data: { "root-cert.pem": root.certPem } } };
  const { printed } = await run(
    { ...own({ "ambit.dev/root-phase": "retiring", "ambit.dev/root-phase-until": "x" }), ...published },
    "status",
  );
  assert.match(printed.join("\n"), /signs: {3}O=cluster\.local.*\(100 days\)\nphase: {3}retiring until x\ntrusted: O=cluster\.local/);
});

test("serial numbers as people have them", () => {
  assert.deepEqual(["255", "0xff", "FF", "00:ff", "0A"].map(serialOf), ["FF", "FF", "FF", "FF", "A"]);
});
