// Do our HTTP/2 sessions stand a long time of made-up peers? `node test/fuzz/hbone.ts [seconds] [seed]`; a failure prints its seed and its shortest form.

import { carries, conversation, lives, survives } from "@ambit/shared/hbone/h2/arbitrary.ts";
import fc from "fast-check";

const seconds = Number(process.argv[2] ?? 60);
const seed = process.argv[3] === undefined ? undefined : Number(process.argv[3]);
if (!(seconds > 0) || Number.isNaN(seed)) throw new Error("node test/fuzz/hbone.ts [seconds] [seed]");

const properties = [
  ["a server stands whatever a client says", fc.asyncProperty(conversation, (c) => survives(c, "server"))],
  ["a client stands whatever a server says", fc.asyncProperty(conversation, (c) => survives(c, "client"))],
  ["tunnels are like TCP", fc.asyncProperty(lives, carries)],
] as const;

for (const [what, property] of properties) {
  const limit = {
    numRuns: Number.MAX_SAFE_INTEGER,
    interruptAfterTimeLimit: (seconds * 1000) / properties.length,
    markInterruptAsFailure: false,
  };
  const details = await fc.check<unknown>(property as fc.IAsyncProperty<unknown>, { ...limit, ...(seed === undefined ? {} : { seed }) });
  process.stdout.write(`${what}: ${details.numRuns} runs, seed ${details.seed}\n`);
  if (!details.failed) continue;
  process.stdout.write(`${fc.defaultReportMessage(details) ?? "it failed"}\n`);
  process.exitCode = 1;
}
