// Which host paths are a node's own?
import assert from "node:assert/strict";
import { test } from "node:test";
import { ownPath } from "./volumes.ts";

const cases: [string, string][] = [
  ["/var/run/ztunnel", "/node/run/ztunnel"],
  ["/run/ztunnel/", "/node/run/ztunnel/"],
  ["/var/run/../run/ztunnel", "/node/run/ztunnel"],
  ["/var/run/netns", "/var/run/netns"],
  ["/run/netns/x", "/run/netns/x"],
  ["/run/netns-like", "/node/run/netns-like"],
  ["/proc", "/proc"],
  ["/var/running", "/var/running"],
];
for (const [path, want] of cases) test(`ownPath ${path}`, () => assert.equal(ownPath(path, "/node"), want));
