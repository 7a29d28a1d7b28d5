// Are the options of `ambit up` read whole, with mistakes named?

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseUp } from "./config.ts";

const cases: readonly (readonly [string, string[], unknown])[] = [
  ["nothing given", [], { nodes: 2, port: 6443, dataDir: "/home/a/.ambit" }],
  ["all given", ["--nodes", "3", "--data", "/d", "--port=0"], { nodes: 3, port: 0, dataDir: "/d" }],
  [
    "every mistake at once",
    ["--nodes", "x", "--port", "99999", "--data", ""],
    "--nodes x: want a whole number from 1 to 16; --port 99999: want a whole number from 0 to 65535; --data needs a directory",
  ],
  ["no nodes", ["--nodes", "0"], "--nodes 0: want a whole number from 1 to 16"],
];
for (const [name, args, expected] of cases)
  test(name, () => {
    const r = parseUp(args, "/home/a");
    assert.deepEqual(r.ok ? r.value : r.error, expected);
  });

test("an option we do not know is named, with the usage", () => {
  const r = parseUp(["--foo"], "/");
  assert.ok(!r.ok && /--foo/.test(r.error) && /usage: ambit up/.test(r.error));
});
