// Is memory given back in every thread at once, without changing how later threads start?

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { giveBack } from "./memory.ts";

test("garbage of several threads is collected at the same time; the flag that it takes is not left behind", async () => {
  const program = `
    const { parentPort } = require("node:worker_threads");
    import(${JSON.stringify(new URL("./memory.ts", import.meta.url).href)}).then(({ giveBackHeap }) => {
      let garbage = Array.from({ length: 200_000 }, (_, i) => ({ i }));
      parentPort.on("message", () => {
        const before = process.memoryUsage().heapTotal;
        garbage = undefined;
        giveBackHeap();
        parentPort.postMessage({ shrunk: process.memoryUsage().heapTotal < before });
      });
      parentPort.postMessage("up");
    });`;
  const workers = Array.from({ length: 4 }, () => new Worker(program, { eval: true }));
  try {
    await Promise.all(workers.map((w) => once(w, "message")));
    const answers = workers.map((w) => once(w, "message"));
    await giveBack(async () => {
      for (const w of workers) w.postMessage("collect");
      await Promise.all(answers);
    });
    for (const answer of answers) assert.deepEqual(await answer, [{ shrunk: true }]);
    const later = new Worker("require('node:worker_threads').parentPort.postMessage(require('node:vm').runInNewContext('typeof gc'))", {
      eval: true,
    });
    assert.deepEqual(await once(later, "message"), ["undefined"]);
  } finally {
    for (const w of workers) await w.terminate();
  }
});
