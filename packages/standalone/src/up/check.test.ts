// Is what the machine lacks told in one sentence each?

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Facts, missing, REQUIRED_PROGRAMS } from "./check.ts";

const good: Facts = {
  platform: "linux",
  uid: 0,
  programs: new Set(REQUIRED_PROGRAMS.map(([name]) => name)),
  cgroupMount: "/sys/fs/cgroup",
  cgroupKill: true,
  overlay: true,
  ipv6: true,
  nftSays: undefined,
};
const cases: readonly (readonly [string, Partial<Facts>, readonly RegExp[]])[] = [
  ["all there", {}, []],
  ["another system: only that is said", { platform: "darwin", uid: 501 }, [/needs Linux .* this is darwin/]],
  [
    "not root: what needs root to be known is not guessed",
    { uid: 1000, cgroupKill: false, nftSays: "Operation not permitted" },
    [/must run as root/],
  ],
  [
    "no nft",
    { programs: new Set(["ip", "nsenter", "unshare", "mount"]), nftSays: "spawn nft ENOENT" },
    [/"nft" is missing: install the package nftables/],
  ],
  ["no cgroup2", { cgroupMount: undefined, cgroupKill: false }, [/no cgroup2 file system is mounted/]],
  ["an old kernel", { cgroupKill: false }, [/Linux 5\.14/]],
  ["no overlay, no IPv6", { overlay: false, ipv6: false }, [/modprobe overlay/, /no IPv6/]],
  [
    "nft without NAT",
    { nftSays: "Error: Could not process rule: No such file or directory" },
    [/nftables does not work in a network namespace here: Error: Could not/],
  ],
];
for (const [name, change, expected] of cases)
  test(name, () => {
    const said = missing({ ...good, ...change });
    assert.equal(said.length, expected.length, said.join("\n"));
    for (const [i, pattern] of expected.entries()) assert.match(said[i] ?? "", pattern);
  });
