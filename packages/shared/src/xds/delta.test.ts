// What does the client say after each event?

import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeltaRequest, DeltaResponse } from "../wire/types.ts";
import { advance, createDeltaState, type DeltaEvent, isSynced } from "./delta.ts";

const node = { id: "ztunnel~1.1.1.1~a.b~b.svc.cluster.local", metadata: {} };
const create = () =>
  createDeltaState(node, [
    { typeUrl: "P", subscribe: "wildcard" },
    { typeUrl: "A", subscribe: "on-demand" },
  ]);
const response = (typeUrl: string, nonce: string, names: Record<string, string>, removed: string[] = []): DeltaResponse => ({
  typeUrl,
  nonce,
  systemVersion: "",
  removed,
  resources: Object.entries(names).map(([name, version]) => ({ name, version, aliases: [], value: new Uint8Array() })),
});
const told = (r: DeltaResponse, rejected: { name: string; reason: string }[] = []): DeltaEvent => ({
  type: "response",
  response: r,
  rejected,
});
/** Only what is said. */
const said = (requests: DeltaRequest[]) =>
  requests.map((r) => {
    const { typeUrl, subscribe, unsubscribe, initialVersions, responseNonce, error } = r;
    return {
      typeUrl,
      ...(r.node === undefined ? {} : { node: r.node.id }),
      ...(subscribe.length === 0 ? {} : { subscribe }),
      ...(unsubscribe.length === 0 ? {} : { unsubscribe }),
      ...(initialVersions.size === 0 ? {} : { held: Object.fromEntries(initialVersions) }),
      ...(responseNonce === "" ? {} : { nonce: responseNonce }),
      ...(error === undefined ? {} : { error: error.message }),
    };
  });

test("the first requests: the node once, nothing for a wildcard, * and not * on demand", () => {
  assert.deepEqual(said(advance(create(), { type: "connected" })), [
    { typeUrl: "P", node: node.id },
    { typeUrl: "A", subscribe: ["*"], unsubscribe: ["*"] },
  ]);
});

test("a response is acknowledged; a refused resource is named with its reason and its version is not held", () => {
  const s = create();
  advance(s, { type: "connected" });
  assert.equal(isSynced(s), false);
  assert.deepEqual(said(advance(s, told(response("P", "1", { a: "1", b: "1" })))), [{ typeUrl: "P", nonce: "1" }]);
  assert.equal(isSynced(s), true);
  const bad = told(response("P", "2", { a: "2", b: "2", c: "1" }), [
    { name: "b", reason: "no" },
    { name: "c", reason: "never" },
  ]);
  assert.deepEqual(said(advance(s, bad)), [{ typeUrl: "P", nonce: "2", error: "b: no; c: never" }]);
  advance(s, { type: "disconnected" });
  assert.deepEqual(said(advance(s, { type: "connected" }))[0], { typeUrl: "P", node: node.id, held: { a: "2", b: "1", c: "" } });
});

test("a refused resource is spoken of after a reconnect, so that its removal meanwhile is told; it is not held once removed", () => {
  const s = create();
  advance(s, { type: "connected" });
  advance(s, told(response("P", "1", { a: "1" }), [{ name: "a", reason: "no" }]));
  advance(s, { type: "disconnected" });
  assert.deepEqual(said(advance(s, { type: "connected" }))[0], { typeUrl: "P", node: node.id, held: { a: "" } });
  advance(s, told(response("P", "2", {}, ["a"])));
  assert.deepEqual(said(advance(s, { type: "connected" }))[0], { typeUrl: "P", node: node.id });
});

test("reconnect_echoes_retained_versions: what is held is named with its version, wildcard and on demand, and what was asked for is asked for again", () => {
  const s = create();
  advance(s, { type: "connected" });
  advance(s, { type: "subscribe", typeUrl: "A", names: ["net/1", "x"] });
  advance(s, told(response("P", "1", { p: "3" })));
  advance(s, told(response("A", "2", { uid: "7" }, ["x"])));
  advance(s, { type: "disconnected" });
  assert.deepEqual(said(advance(s, { type: "connected" })), [
    { typeUrl: "P", node: node.id, held: { p: "3" } },
    { typeUrl: "A", subscribe: ["*", "net/1", "x"], unsubscribe: ["*"], held: { uid: "7" } },
  ]);
});

test("what was removed is not held", () => {
  const s = create();
  advance(s, { type: "connected" });
  advance(s, told(response("P", "1", { a: "1", b: "1" })));
  advance(s, told(response("P", "2", {}, ["a", "unknown"])));
  assert.deepEqual(said(advance(s, { type: "connected" }))[0], { typeUrl: "P", node: node.id, held: { b: "1" } });
});

test("names are asked for once, and again after a reconnect", () => {
  const s = create();
  assert.deepEqual(said(advance(s, { type: "subscribe", typeUrl: "A", names: ["x"] })), [], "not connected yet");
  assert.deepEqual(said(advance(s, { type: "connected" }))[1], { typeUrl: "A", subscribe: ["*", "x"], unsubscribe: ["*"] });
  assert.deepEqual(said(advance(s, { type: "subscribe", typeUrl: "A", names: ["x", "y", "y"] })), [{ typeUrl: "A", subscribe: ["y"] }]);
  assert.deepEqual(said(advance(s, { type: "subscribe", typeUrl: "A", names: ["x"] })), []);
  advance(s, told(response("A", "1", { x: "1", y: "1" })));
  assert.deepEqual(said(advance(s, { type: "unsubscribe", typeUrl: "A", names: ["y", "z"] })), [{ typeUrl: "A", unsubscribe: ["y"] }]);
  assert.deepEqual(said(advance(s, { type: "connected" }))[1], {
    typeUrl: "A",
    subscribe: ["*", "x"],
    unsubscribe: ["*"],
    held: { x: "1" },
  });
});

test("a name that does not exist is asked for again when it is wanted again, and stays asked for over a reconnect", () => {
  const s = create();
  advance(s, { type: "connected" });
  advance(s, { type: "subscribe", typeUrl: "A", names: ["x"] });
  advance(s, told(response("A", "1", {}, ["x"])));
  assert.deepEqual(said(advance(s, { type: "subscribe", typeUrl: "A", names: ["x"] })), [{ typeUrl: "A", subscribe: ["x"] }]);
  assert.deepEqual(said(advance(s, { type: "subscribe", typeUrl: "A", names: ["x"] })), [], "its answer is under way");
  assert.deepEqual(said(advance(s, { type: "connected" }))[1], { typeUrl: "A", subscribe: ["*", "x"], unsubscribe: ["*"] });
  advance(s, told(response("A", "2", {}, ["x"])));
  advance(s, told(response("A", "3", { x: "1" })));
  assert.deepEqual(said(advance(s, { type: "subscribe", typeUrl: "A", names: ["x"] })), [], "it has come to exist");
});

test("a wildcard type has no names, and a type nobody asked for is refused", () => {
  const s = create();
  advance(s, { type: "connected" });
  assert.deepEqual(advance(s, { type: "subscribe", typeUrl: "P", names: ["x"] }), []);
  assert.deepEqual(said(advance(s, told(response("Z", "9", {})))), [{ typeUrl: "Z", nonce: "9", error: "Z was not asked for" }]);
});
