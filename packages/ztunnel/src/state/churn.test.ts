// Does the state of 5 000 pods that come, change and go leave anything behind, and what does one change of many cost?

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

const here = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);

/** In a process of its own, where the collector can be called and nothing else lives in the heap. */
const PROGRAM = `
import { createStateFeed } from ${here("./feed.ts")};
import { createMeshMirror } from ${here("./mirror.ts")};
import { aPort, aService, aWorkload } from "@ambit/shared/state/fixtures.ts";
import { serviceKey } from "@ambit/shared/state/types.ts";
import { encodeAddress } from "@ambit/shared/wire/address.ts";
import { ADDRESS_TYPE, addressName } from "@ambit/shared/wire/types.ts";

const PODS = 5_000, CHANGED = 1_000, ROUNDS = 10;
const feed = createStateFeed();
const mirrors = [createMeshMirror(), createMeshMirror()];
for (const m of mirrors) feed.subscribe((message) => m.apply(structuredClone(message)));
const apply = feed.types.find((t) => t.typeUrl === ADDRESS_TYPE).apply;
const upsert = (a) => ({ name: addressName(a), version: "1", value: encodeAddress(a), aliases: [] });
const service = aService("s", "10.96.0.1");
const pod = (n, round) => ({
  kind: "workload",
  workload: aWorkload("pod-" + n + "-" + round, "10." + (64 + ((n >> 16) & 63)) + "." + ((n >> 8) & 255) + "." + (n & 255), {
    node: "node-" + (n % 50) + "-" + round, services: { [serviceKey(service)]: [aPort(80, 8080)] },
  }),
});
apply({ upserts: [upsert({ kind: "service", service })], removed: [] });
const round = (r) => {
  const pods = Array.from({ length: PODS }, (_, n) => upsert(pod(n, r)));
  apply({ upserts: pods, removed: [] });
  apply({ upserts: pods.slice(0, CHANGED), removed: [] });
  const known = mirrors.map((m) => m.view.endpoints(serviceKey(service)).length);
  apply({ upserts: [], removed: pods.map((p) => p.name) });
  return known;
};
const heap = () => { gc(); gc(); return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers; };
for (let r = 0; r < 4; r++) round(r);
const before = heap();
let known;
for (let r = 4; r < 4 + ROUNDS; r++) known = round(r);
const after = heap();
console.log(JSON.stringify({ known, grownKb: Math.round((after - before) / 1024), left: mirrors.map((m) => [...m.store.workloads()].length) }));
`;

test("5 000 pods come, change and go ten times: the heap comes back", { timeout: 120_000 }, () => {
  const out = execFileSync(process.execPath, ["--expose-gc", "--input-type=module", "-e", PROGRAM], {
    cwd: import.meta.dirname,
    encoding: "utf8",
  });
  const { known, grownKb, left } = JSON.parse(out) as { known: number[]; grownKb: number; left: number[] };
  assert.deepEqual({ known, left }, { known: [5_000, 5_000], left: [0, 0] });
  // 50 000 pods have come and gone: a hundred bytes of each would be 5 MB. What stays are the tables of shared strings, which are bounded.
  assert.ok(grownKb < 3_000, `${grownKb} KB more than before`);
});
