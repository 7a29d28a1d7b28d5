// What exactly is deployed for a waypoint? (golden: a change here re-rolls every waypoint)

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { gateway, SETTINGS } from "../model/test/fixtures.ts";
import { mayHaveDrifted } from "./apply.ts";
import { type RenderSettings, renderWaypoint } from "./render.ts";

const settings: RenderSettings = {
  mesh: SETTINGS,
  image: "ambit/waypoint:dev",
  imagePullPolicy: "IfNotPresent",
  discoveryAddress: { host: "istiod.istio-system.svc", port: 15012 },
};
const rendered = (g = gateway("shop", "wp")) => renderWaypoint(g, settings).map((m) => ({ kind: m.resource.kind, ...m.object }));

test("golden", () => {
  const golden = readFileSync(new URL("./waypoint.golden.yaml", import.meta.url), "utf8");
  assert.deepEqual(
    rendered(),
    golden.split(/^---$/m).map((doc) => parse(doc)),
  );
});

test("infrastructure labels and annotations reach everything, but cannot replace ours", () => {
  const g = gateway("shop", "wp");
  const infrastructure = { labels: { team: "a", "gateway.networking.k8s.io/gateway-name": "other" }, annotations: { note: "x" } };
  for (const o of rendered({ ...g, spec: { ...g.spec, infrastructure } })) {
    assert.equal(o.metadata.labels?.team, "a");
    assert.equal(o.metadata.labels?.["gateway.networking.k8s.io/gateway-name"], "wp");
    assert.equal(o.metadata.annotations?.note, "x");
  }
});

test("every object is owned by the Gateway", () => {
  for (const o of rendered()) assert.equal(o.metadata.ownerReferences?.[0]?.uid, "uid-shop-wp");
});

test("a status change is no drift; a spec change and a deletion are", () => {
  const at = (generation: number) => ({ metadata: { name: "wp", generation } });
  assert.equal(mayHaveDrifted({ key: "k", old: at(1), value: at(1) }), false);
  assert.equal(mayHaveDrifted({ key: "k", old: at(1), value: at(2) }), true);
  assert.equal(mayHaveDrifted({ key: "k", old: at(1), value: undefined }), true);
  assert.equal(mayHaveDrifted({ key: "k", old: undefined, value: at(1) }), false);
});
