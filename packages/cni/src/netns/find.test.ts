// Reading /proc texts: pod uids from cgroups, own addresses from fib_trie and if_inet6.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ownsAddress, ownV4, ownV6, podUidOf } from "./find.ts";

const UID = "8f7c1a2b-3c4d-5e6f-8a9b-0c1d2e3f4a5b";
const cgroups: [string, string, string | undefined][] = [
  ["cgroupfs driver", `0::/kubepods/besteffort/pod${UID}/3f2a`, UID],
  [
    "systemd driver",
    `0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${UID.replaceAll("-", "_")}.slice/cri-containerd-1.scope`,
    UID,
  ],
  ["cgroup v1", `12:pids:/\n5:memory:/kubepods/burstable/pod${UID}/a`, UID],
  ["no pod", "0::/system.slice/ssh.service", undefined],
  ["something like a pod", "0::/podman/12", undefined],
];
for (const [name, text, want] of cgroups) test(`podUidOf: ${name}`, () => assert.equal(podUidOf(text), want));

const FIB = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     |-- 10.244.1.7
        /32 host LOCAL
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
        |-- 127.255.255.255
           /32 link BROADCAST
`;
const INET6 = "fd000244000100000000000000000007 02 80 00 80     eth0\n00000000000000000000000000000001 01 80 10 80       lo\n";

test("own addresses", () => {
  assert.deepEqual([...ownV4(FIB)], ["10.244.1.7", "127.0.0.1"]);
  assert.deepEqual([...ownV6(INET6)], ["fd00:244:1::7", "::1"]);
});
test("a namespace is the pod's only when it owns one of its addresses", () => {
  assert.equal(ownsAddress(["10.244.1.7"], FIB, ""), true);
  assert.equal(ownsAddress(["10.244.1.8"], FIB, INET6), false);
  assert.equal(ownsAddress(["10.9.9.9", "fd00:0244:1::7"], FIB, INET6), true);
  assert.equal(ownsAddress([], FIB, INET6), false);
});
test("this machine's own texts are understood", () => {
  assert.ok(ownV4(readFileSync("/proc/self/net/fib_trie", "utf8")).has("127.0.0.1"));
});
