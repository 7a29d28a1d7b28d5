// Does a session stand whatever it is told, and a tunnel carry whatever is done with it? (the short run; test/fuzz/hbone.ts is the long one)

import { test } from "node:test";
import fc from "fast-check";
import { carries, conversation, lives, survives } from "./arbitrary.ts";

const short = { interruptAfterTimeLimit: 2500, markInterruptAsFailure: false };

test("a server stands whatever a client says", { timeout: 20_000 }, () =>
  fc.assert(
    fc.asyncProperty(conversation, (c) => survives(c, "server")),
    { numRuns: 400, ...short },
  ),
);

test("a client stands whatever a server says", { timeout: 20_000 }, () =>
  fc.assert(
    fc.asyncProperty(conversation, (c) => survives(c, "client")),
    { numRuns: 400, ...short },
  ),
);

test("tunnels between two of ours are like TCP, whatever is done at either end and however bytes are cut", { timeout: 30_000 }, () =>
  fc.assert(fc.asyncProperty(lives, carries), { numRuns: 150, ...short }),
);
