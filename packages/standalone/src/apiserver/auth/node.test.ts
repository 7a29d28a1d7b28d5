// Is a kubelet held to its own node?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "../model/object.ts";
import { type NodeWrite, nodeRefusal } from "./node.ts";
import type { User } from "./user.ts";

const kubelet: User = { name: "system:node:node1", groups: ["system:nodes", "system:authenticated"] };
const pod = (nodeName: string, mirror = false): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", ...(mirror ? { annotations: { "kubernetes.io/config.mirror": "x" } } : {}) },
  spec: { nodeName },
});

const cases: readonly (readonly [string, Partial<NodeWrite>, RegExp | undefined])[] = [
  ["its own node", { bucket: "/nodes", name: "node1" }, undefined],
  ["another node", { bucket: "/nodes", name: "node2" }, /not allowed to modify node "node2"/],
  ["its own lease", { bucket: "coordination.k8s.io/leases", name: "node1" }, undefined],
  ["another lease", { bucket: "coordination.k8s.io/leases", name: "istio-leader" }, /same name as the requesting node/],
  ["status of its own pod", { bucket: "/pods", object: pod("node1") }, undefined],
  ["status of another's pod", { bucket: "/pods", object: pod("node2") }, /can only update pod status/],
  ["status of a pod without node", { bucket: "/pods", object: pod("") }, /can only update pod status/],
  ["deleting its own pod", { verb: "delete", bucket: "/pods", object: pod("node1") }, undefined],
  ["deleting another's pod", { verb: "delete", bucket: "/pods", object: pod("node2") }, /can only delete pods/],
  ["a pod of its own making", { verb: "create", bucket: "/pods", object: pod("node1") }, /can only create mirror pods/],
  ["a mirror pod", { verb: "create", bucket: "/pods", object: pod("node1", true) }, undefined],
  ["a mirror pod elsewhere", { verb: "create", bucket: "/pods", object: pod("node2", true) }, /can only create pods with spec.nodeName/],
  ["a token for its own pod", { verb: "token", object: pod("node1") }, undefined],
  ["a token for another's pod", { verb: "token", object: pod("node2") }, /scheduled on a different node/],
  ["a token for no pod", { verb: "token", object: undefined }, /not bound to a pod/],
  ["an event", { verb: "create", bucket: "/events" }, undefined],
];
for (const [name, write, expected] of cases)
  test(name, () => {
    const whole: NodeWrite = { verb: "update", bucket: "/pods", name: "p", object: undefined, ...write };
    const why = nodeRefusal(kubelet, whole);
    if (expected === undefined) assert.equal(why, undefined);
    else assert.match(why ?? "", expected);
    assert.equal(nodeRefusal({ name: "system:node:node1", groups: [] }, whole), undefined, "the name alone makes no kubelet");
  });
