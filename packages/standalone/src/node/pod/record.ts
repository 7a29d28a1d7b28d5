// What does the kubelet remember of a pod, also over its own restart?

import type { ProcessId } from "@ambit/shared/linux/process.ts";

export type Terminated = {
  readonly exitCode: number;
  readonly signal: number | undefined;
  readonly reason: string;
  readonly message: string | undefined;
  /** Milliseconds since the epoch, as all times here. */
  readonly startedAt: number;
  readonly finishedAt: number;
};

export type RunState =
  | { readonly t: "waiting"; readonly reason: string; readonly message: string | undefined }
  | { readonly t: "running"; readonly id: ProcessId; readonly startedAt: number }
  | ({ readonly t: "terminated" } & Terminated);

export type ContainerRecord = {
  readonly state: RunState;
  readonly last: Terminated | undefined;
  /** How often it was started again: the number of its log file. */
  readonly restarts: number;
  /** Whether it was ever started. */
  readonly ran: boolean;
  /** How long after its end it may start again; undefined before the first end. */
  readonly backoffMs: number | undefined;
  /** The startup probe has passed (or there is none) in this run. */
  readonly started: boolean;
  /** The readiness probe says so (or there is none) in this run. */
  readonly ready: boolean;
};

export type PodRecord = {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** The pod's number on its node, which gives its addresses; undefined for hostNetwork. */
  readonly number: number | undefined;
  readonly startTime: number;
  readonly graceSeconds: number;
  readonly containers: Readonly<Record<string, ContainerRecord>>;
};

export const NEW_CONTAINER: ContainerRecord = {
  state: { t: "waiting", reason: "ContainerCreating", message: undefined },
  last: undefined,
  restarts: 0,
  ran: false,
  backoffMs: undefined,
  started: false,
  ready: false,
};

export const containerOf = (record: PodRecord, name: string): ContainerRecord => record.containers[name] ?? NEW_CONTAINER;

export const withContainer = (record: PodRecord, name: string, change: Partial<ContainerRecord>): PodRecord => ({
  ...record,
  containers: { ...record.containers, [name]: { ...containerOf(record, name), ...change } },
});
