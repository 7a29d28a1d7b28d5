import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseProtocol, exitStatus, parseFrame, parseResize } from "./channels.ts";
import { parseRequest } from "./requests.ts";

const parse = (path: string) => {
  const r = parseRequest(new URL(path, "http://kubelet"), Date.parse("2026-01-01T00:01:00Z"));
  return r === undefined ? undefined : r.ok ? r.value : r.error;
};
const cases: readonly (readonly [string, unknown])[] = [
  [
    "/containerLogs/ns/p/c",
    { kind: "logs", namespace: "ns", pod: "p", container: "c", follow: false, previous: false, selection: { timestamps: false } },
  ],
  [
    "/containerLogs/ns/p/c?follow=true&tailLines=5&sinceSeconds=60&timestamps=true&previous=true",
    {
      kind: "logs",
      namespace: "ns",
      pod: "p",
      container: "c",
      follow: true,
      previous: true,
      selection: { timestamps: true, tailLines: 5, sinceTime: "2026-01-01T00:00:00.000Z" },
    },
  ],
  ["/containerLogs/ns/p/c?tailLines=x", "tailLines=x is not a whole number"],
  ["/containerLogs/ns/p/c?sinceTime=x", "sinceTime=x is not a time"],
  [
    "/exec/ns/p/c?command=ls&command=-l&stdin=true&tty=1",
    {
      kind: "exec",
      namespace: "ns",
      pod: "p",
      container: "c",
      command: ["ls", "-l"],
      stdin: true,
      stdout: false,
      stderr: false,
      tty: true,
    },
  ],
  ["/exec/ns/p/c", "exec needs at least one command parameter"],
  [
    "/attach/ns/p/c?stdout=true&error=1",
    { kind: "attach", namespace: "ns", pod: "p", container: "c", stdin: false, stdout: true, stderr: true, tty: false },
  ],
  ["/portForward/ns/p?port=80&ports=81,82", { kind: "port-forward", namespace: "ns", pod: "p", ports: [80, 81, 82] }],
  ["/portForward/ns/p?port=0", "ports=0 are not ports"],
  ["/portForward/ns/p", { kind: "port-forward", namespace: "ns", pod: "p", ports: [] }],
  ["/healthz", { kind: "health" }],
  ["/exec/ns", undefined],
  ["/other/ns/p", undefined],
];
for (const [path, want] of cases) test(path, () => assert.deepEqual(parse(path), want));

test("frames, statuses, sizes", () => {
  assert.deepEqual(parseFrame(Buffer.from([1, 65])), { kind: "data", channel: 1, bytes: Buffer.from("A") });
  assert.deepEqual(parseFrame(Buffer.from([255, 0])), { kind: "close", channel: 0 });
  for (const bytes of [[], [255]]) assert.deepEqual(parseFrame(Buffer.from(bytes)), { kind: "invalid" });
  assert.equal(chooseProtocol(new Set(["v4.channel.k8s.io", "v5.channel.k8s.io"])), "v5.channel.k8s.io");
  assert.equal(chooseProtocol(new Set(["channel.k8s.io"])), undefined);
  assert.deepEqual(exitStatus(0), { metadata: {}, status: "Success" });
  assert.match(JSON.stringify(exitStatus(7)), /"reason":"ExitCode","message":"7"/);
  assert.deepEqual(parseResize(Buffer.from('{"Width":80,"Height":24}')), { rows: 24, columns: 80 });
  for (const text of ["", "{}", "[]", "x"]) assert.equal(parseResize(Buffer.from(text)), undefined);
});
