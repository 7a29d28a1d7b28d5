// The cases of ztunnel's inpod state manager, by their names where it has them.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ZdsRequest } from "@ambit/shared/wire/types.ts";
import { FIRST_SESSION, type KnownPod, type PodAction, type Session, step } from "./reconcile.ts";

const who = { name: "p", namespace: "ns", serviceAccount: "sa" };
const A = { dev: 4n, ino: 1n };
const B = { dev: 4n, ino: 2n };
const running = (netns = A): KnownPod => ({ netns, who, state: "running" });
const pending = (netns = A): KnownPod => ({ netns, who, state: "pending" });
const add = (uid: string): ZdsRequest => ({ kind: "add", uid, workload: who });
const LIVE: Session = { phase: "live" };
const snapshot = (...named: string[]): Session => ({ phase: "snapshot", named: new Set(named) });

type Case = {
  readonly name: string;
  readonly session: Session;
  readonly pods?: Record<string, KnownPod>;
  readonly request: ZdsRequest;
  readonly netns?: typeof A;
  readonly expect: { session: Session; actions: PodAction[] } | string;
};

const cases: readonly Case[] = [
  {
    name: "add_workload_starts_a_proxy",
    session: FIRST_SESSION,
    request: add("1"),
    netns: A,
    expect: { session: snapshot("1"), actions: [{ kind: "start", uid: "1" }] },
  },
  {
    name: "idempotency_add_workload_starts_only_one_proxy",
    session: LIVE,
    pods: { 1: running() },
    request: add("1"),
    netns: A,
    expect: { session: LIVE, actions: [] },
  },
  {
    name: "idempotency: named again by a new snapshot",
    session: snapshot("0"),
    pods: { 1: running() },
    request: add("1"),
    netns: A,
    expect: { session: snapshot("0", "1"), actions: [] },
  },
  {
    name: "add_with_different_netns_keeps_latest_proxy",
    session: LIVE,
    pods: { 1: running() },
    request: add("1"),
    netns: B,
    expect: { session: LIVE, actions: [{ kind: "replace", uid: "1" }] },
  },
  {
    name: "the same pod under another service account is another proxy",
    session: LIVE,
    pods: { 1: running() },
    request: { kind: "add", uid: "1", workload: { ...who, serviceAccount: "other" } },
    netns: A,
    expect: { session: LIVE, actions: [{ kind: "replace", uid: "1" }] },
  },
  {
    name: "workload_added_while_pending",
    session: LIVE,
    pods: { 1: pending() },
    request: add("1"),
    netns: A,
    expect: { session: LIVE, actions: [{ kind: "start", uid: "1" }] },
  },
  {
    name: "an add without a namespace",
    session: LIVE,
    request: add("1"),
    expect: "protocol error: add of 1 came without the namespace's file descriptor",
  },
  {
    name: "parse_del_with_fd",
    session: LIVE,
    request: { kind: "del", uid: "1" },
    netns: A,
    expect: "protocol error: del came with a file descriptor",
  },
  {
    name: "delete_workload_ends_its_proxy",
    session: LIVE,
    pods: { 1: running() },
    request: { kind: "del", uid: "1" },
    expect: { session: LIVE, actions: [{ kind: "stop", uid: "1" }] },
  },
  {
    name: "a pod that is not known is deleted in peace",
    session: LIVE,
    request: { kind: "del", uid: "1" },
    expect: { session: LIVE, actions: [] },
  },
  {
    name: "del_workload_before_snapshot_removes_from_snapshot_and_pending: the pending one",
    session: snapshot("1", "2"),
    pods: { 1: pending() },
    request: { kind: "del", uid: "1" },
    expect: { session: snapshot("2"), actions: [{ kind: "stop", uid: "1" }] },
  },
  {
    name: "del_workload_before_snapshot_removes_from_snapshot_and_pending: a running one is stopped by the snapshot's end",
    session: snapshot("1", "2"),
    pods: { 1: running() },
    request: { kind: "del", uid: "1" },
    expect: { session: snapshot("2"), actions: [] },
  },
  {
    name: "proxy_added_then_kept_with_new_snapshot",
    session: snapshot(),
    pods: { 1: running() },
    request: { kind: "keep", uid: "1" },
    expect: { session: snapshot("1"), actions: [] },
  },
  {
    name: "keep after the snapshot",
    session: LIVE,
    request: { kind: "keep", uid: "1" },
    expect: "protocol error: keep after the snapshot was sent",
  },
  {
    name: "process_snapshot_with_missing_workload",
    session: snapshot("2"),
    pods: { 1: running(), 2: running(B), 3: pending() },
    request: { kind: "snapshot-sent" },
    expect: {
      session: LIVE,
      actions: [
        { kind: "stop", uid: "1" },
        { kind: "stop", uid: "3" },
      ],
    },
  },
  { name: "a second snapshot", session: LIVE, request: { kind: "snapshot-sent" }, expect: "protocol error: the snapshot was sent twice" },
];

for (const c of cases)
  test(c.name, () => {
    const result = step(c.session, new Map(Object.entries(c.pods ?? {})), { request: c.request, netns: c.netns });
    if (typeof c.expect === "string") assert.deepEqual(result, { kind: "refuse", error: c.expect });
    else assert.deepEqual(result, { kind: "accept", ...c.expect });
  });
