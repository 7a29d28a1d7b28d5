// Are pages, put together, the list as it was at the first page, whatever is written meanwhile?

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { BUILTIN } from "../registry/builtin.ts";
import { listOptions } from "../rest/options.ts";
import { openLog } from "../storage/log.ts";
import { openStore } from "../storage/store.ts";
import { type ListView, planList } from "./list.ts";

const found = BUILTIN.find((r) => r.kind === "ConfigMap");
assert.ok(found);
const resource = found;
const B = resource.bucket;
const select = (namespace?: string) => ({ resource, namespace, labels: [], fields: [] });
const options = (q: string) => listOptions(new URLSearchParams(q));

test("pages are one consistent list", async () => {
  const dir = mkdtempSync(join(tmpdir(), "ambit-list-"));
  const store = openStore(openLog(join(dir, "ambit.db")), { history: 100_000 });
  const view: ListView = { now: store.committed.list, snapshot: store.snapshot, revision: store.revision };
  const write = async (name: string, remove: boolean): Promise<void> => {
    if (remove && store.latest.get(B, `ns/${name}`) === undefined) return;
    await store.stage(B, `ns/${name}`, remove ? undefined : { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "ns" } })
      .durable;
  };
  const op = fc.tuple(fc.constantFrom("a", "b", "c", "d", "e", "f", "g"), fc.boolean());
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 3 }), fc.array(op, { maxLength: 12 }), async (limit, ops) => {
      for (const n of ["b", "d", "f"]) await write(n, false);
      const whole = planList(select("ns"), options(""), view).items;
      const pages = [];
      let token: string | undefined;
      let left = ops;
      do {
        const page = planList(
          select("ns"),
          options(`limit=${limit}${token === undefined ? "" : `&continue=${encodeURIComponent(token)}`}`),
          view,
        );
        pages.push(...page.items);
        token = page.metadata.continue;
        for (const [name, remove] of left.slice(0, 3)) await write(name, remove);
        left = left.slice(3);
      } while (token !== undefined);
      assert.deepEqual(pages, whole);
    }),
    { numRuns: 40 },
  );
  store.close();
  rmSync(dir, { recursive: true });
});

test("what cannot be answered: the future, the forgotten past, a token of someone else", () => {
  const view: ListView = { now: () => [], snapshot: () => undefined, revision: () => 10 };
  const code = (q: string): unknown => {
    try {
      planList({ ...select(), fields: options(q).fields }, options(q), view);
      return 200;
    } catch (e) {
      return e instanceof Error && "code" in e ? e.code : e;
    }
  };
  assert.equal(code("resourceVersion=10"), 200);
  assert.equal(code("resourceVersion=11"), 504);
  assert.equal(code("resourceVersion=3&resourceVersionMatch=Exact"), 410);
  assert.equal(code("limit=1&continue=%21"), 400);
  assert.equal(code(`limit=1&continue=${btoa('{"rv":3,"start":"a/b"}')}`), 410);
  assert.equal(code("fieldSelector=spec.x%3D1"), 400);
});
