// Which tests are there, and did they pass? (units side by side, then the end-to-end suites one after another)

import { globSync } from "node:fs";
import { join } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { styleText } from "node:util";

const root = join(import.meta.dirname, "..");
const wanted = process.argv.slice(2);
const all = globSync("{packages/*/src,test,scripts}/**/*.test.ts", { cwd: root }).filter((f) => !f.includes("node_modules"));
const chosen = wanted.length === 0 ? all : all.filter((f) => wanted.some((w) => f.includes(w)));
const isEndToEnd = (f: string): boolean => f.startsWith("test/e2e/");

type Totals = { passed: number; failed: number; skipped: number };

/** A file that has not ended by then hangs: that is a failure of its own. */
const FILE_MS = { unit: 180_000, endToEnd: 600_000 };

const runFiles = (files: readonly string[], how: { concurrency: number; timeout: number }): Promise<Totals> =>
  new Promise((resolve, reject) => {
    const totals: Totals = { passed: 0, failed: 0, skipped: 0 };
    if (files.length === 0) return resolve(totals);
    const stream = run({ files: files.map((f) => join(root, f)), cwd: root, ...how });
    stream.on("test:summary", (summary) => {
      if (summary.file !== undefined) return;
      totals.passed = summary.counts.passed;
      totals.failed = summary.counts.tests - summary.counts.passed - summary.counts.skipped - summary.counts.todo;
      totals.skipped = summary.counts.skipped;
    });
    stream.on("error", reject);
    const report = stream.compose(new spec());
    report.pipe(process.stdout, { end: false });
    report.on("end", () => resolve(totals));
    report.on("error", reject);
  });

const started = performance.now();
const units = await runFiles(chosen.filter((f) => !isEndToEnd(f)).sort(), { concurrency: 2, timeout: FILE_MS.unit });
const suites = await runFiles(chosen.filter(isEndToEnd).sort(), { concurrency: 1, timeout: FILE_MS.endToEnd });
// A skip hides what a machine cannot do; where CI runs, nothing may hide.
const hidden = units.skipped + suites.skipped;
const inCi = process.env.CI === "true";
const passed = units.passed + suites.passed;
const failed = units.failed + suites.failed + (inCi ? hidden : 0);
const skipped = inCi ? 0 : hidden;
const ok = failed === 0 && passed > 0;
process.stdout.write(`\n${styleText(ok ? "green" : "red", `${Math.round((performance.now() - started) / 1000)} s`)}\n`);
process.stdout.write(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}\n`);
process.exitCode = ok ? 0 : 1;
