// Is what an instance owns on this machine known again after a kill?

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { mountsBelow } from "./mounts.ts";
import { isAlive, ownerText, parseOwner, startTimeOf } from "./owner.ts";

const stat = (state: string, start: string, comm = "node") =>
  `42 (${comm}) ${state} 1 42 42 0 -1 4194560 100 0 0 0 10 5 0 0 20 0 11 0 ${start} 1000 200 18446744073709551615`;
const owner = { pid: 42, startTime: "777", dataDir: "/d" };

test("a registration survives being written and read", () => assert.deepEqual(parseOwner(ownerText(owner)), owner));
for (const text of ["", "{", "null", "[]", '{"pid":"42"}', '{"pid":42,"startTime":"7"}'])
  test(`no registration: ${JSON.stringify(text)}`, () => assert.equal(parseOwner(text), undefined));

const aliveCases: readonly (readonly [string, string | undefined, boolean])[] = [
  ["running", stat("S", "777"), true],
  ["no such process", undefined, false],
  ["another process under its pid", stat("S", "778"), false],
  ["a zombie", stat("Z", "777"), false],
  ["a command with spaces and parentheses in its name", stat("S", "777", "a) Z (b"), true],
];
for (const [name, text, expected] of aliveCases) test(`alive: ${name}`, () => assert.equal(isAlive(owner, text), expected));

test("our own start time can be read", () => assert.match(startTimeOf(readFileSync("/proc/self/stat", "utf8")) ?? "", /^\d+$/));

test("mounts below a directory, innermost first, escapes undone, look-alikes left out", () => {
  const line = (path: string) => `36 35 98:0 / ${path} rw,noatime master:1 - ext4 /dev/root rw`;
  const info = ["/", "/run", "/run/ambit/aa", "/run/ambit/aa/pods/x\\040y", "/run/ambit/aab", "/run/ambit/aa/pods/x\\040y/deep"]
    .map(line)
    .join("\n");
  assert.deepEqual(mountsBelow(info, "/run/ambit/aa"), ["/run/ambit/aa/pods/x y/deep", "/run/ambit/aa/pods/x y", "/run/ambit/aa"]);
});
