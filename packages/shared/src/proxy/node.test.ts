// Does a proxy introduce itself as Istio's do?

import assert from "node:assert/strict";
import { test } from "node:test";
import { xdsNode } from "./node.ts";

test("the node's id and metadata; metadata cannot claim another pod", () => {
  const node = xdsNode({
    kind: "ztunnel",
    pod: { name: "z-1", namespace: "istio-system", ip: "10.244.1.2" },
    domain: "cluster.local",
    node: "node1",
    clusterId: "Kubernetes",
    metadata: { NAME: "another", TEAM: "mesh" },
  });
  assert.equal(node.id, "ztunnel~10.244.1.2~z-1.istio-system~istio-system.svc.cluster.local");
  assert.deepEqual(node.metadata, {
    TEAM: "mesh",
    NAME: "z-1",
    NAMESPACE: "istio-system",
    INSTANCE_IPS: "10.244.1.2",
    NODE_NAME: "node1",
    CLUSTER_ID: "Kubernetes",
  });
});
