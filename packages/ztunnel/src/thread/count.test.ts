// Is the number of data threads what Istio's rule says?

import assert from "node:assert/strict";
import { test } from "node:test";
import { type ThreadFacts, threadCount, threadSetting } from "./count.ts";

const cases: readonly { name: string; facts: Partial<ThreadFacts>; expect: number }[] = [
  { name: "a small node has two", facts: { cores: 2 }, expect: 2 },
  { name: "one core has two all the same", facts: { cores: 1 }, expect: 2 },
  { name: "a quarter of many cores", facts: { cores: 32 }, expect: 8 },
  { name: "a quarter is rounded up", facts: { cores: 13 }, expect: 4 },
  { name: "concurrency asks for more", facts: { cores: 4, concurrency: 3 }, expect: 3 },
  { name: "concurrency below the minimum changes nothing", facts: { cores: 32, concurrency: 1 }, expect: 8 },
  { name: "an explicit CPU limit wins", facts: { cores: 32, limit: 3 }, expect: 3 },
  { name: "a limit of one core is one thread", facts: { cores: 32, concurrency: 8, limit: 1 }, expect: 1 },
  { name: "a limit of all cores is none (the downward API)", facts: { cores: 16, limit: 16 }, expect: 4 },
  { name: "told outright", facts: { cores: 4, limit: 2, setting: { kind: "count", count: 6 } }, expect: 6 },
  { name: "one thread is allowed when told", facts: { cores: 4, setting: { kind: "count", count: 1 } }, expect: 1 },
  { name: "a share of the cores", facts: { cores: 8, setting: { kind: "percent", percent: 50 } }, expect: 4 },
  { name: "a share of the limit, rounded up", facts: { cores: 32, limit: 3, setting: { kind: "percent", percent: 50 } }, expect: 2 },
  { name: "a tiny share is one thread", facts: { cores: 2, setting: { kind: "percent", percent: 1 } }, expect: 1 },
  { name: "0 is all cores", facts: { cores: 12, setting: { kind: "all" } }, expect: 12 },
  { name: "all cores of the limit", facts: { cores: 12, limit: 5, setting: { kind: "all" } }, expect: 5 },
];
for (const c of cases)
  test(`threads: ${c.name}`, () =>
    assert.equal(threadCount({ cores: 4, limit: undefined, concurrency: undefined, setting: undefined, ...c.facts }), c.expect));

const texts: readonly { text: string; expect: unknown }[] = [
  { text: "4", expect: { kind: "count", count: 4 } },
  { text: "0", expect: { kind: "all" } },
  { text: "50%", expect: { kind: "percent", percent: 50 } },
  { text: "0%", expect: undefined },
  { text: "101%", expect: undefined },
  { text: "65", expect: undefined },
  { text: "-1", expect: undefined },
  { text: "two", expect: undefined },
];
for (const c of texts)
  test(`ZTUNNEL_WORKER_THREADS=${c.text}`, () => {
    const read = threadSetting(c.text);
    assert.deepEqual(read.ok ? read.value : undefined, c.expect);
  });
