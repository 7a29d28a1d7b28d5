// What do the control thread and a data thread say to each other? (plain data: it is cloned)

import type { MessagePort } from "node:worker_threads";
import type { IssuedCert } from "@ambit/shared/ca/types.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import type { DumpConnection } from "@ambit/shared/state/config-dump.ts";
import type { ZdsWorkload } from "@ambit/shared/wire/types.ts";
import type { ProfileQuestion } from "../admin/profile.ts";
import type { ZtunnelConfig } from "../config.ts";
import type { StateMessage } from "../state/slice.ts";
import type { Place } from "./handover.ts";

/** What data threads are told of the configuration: nothing of how the controller is reached. */
export type ThreadConfig = Omit<ZtunnelConfig, "xds" | "ca" | "token">;

/** Given to the thread when it is made. */
export type ThreadSetup = {
  readonly index: number;
  readonly config: ThreadConfig;
  /** The log levels in force. */
  readonly levels: string;
  /** Int32Array of each thread's load (balance.ts). */
  readonly loads: SharedArrayBuffer;
};

/** Listening sockets by name. The numbers are the control thread's until the call is answered: take a dup of each. */
export type ListenerFds = Readonly<Record<string, readonly number[]>>;

export type PodDescription = {
  /** Told of nothing else ever: a pod that is served again has another one. */
  readonly key: number;
  readonly uid: string;
  readonly who: ZdsWorkload;
  readonly identity: SpiffeId;
  /** The namespace's fd: the control thread's, which keeps it open until it has been told that the pod is served no more. */
  readonly netns: number;
  readonly listeners: ListenerFds;
  /** ztunnel itself: only its tunnels are served, and of its ports only this one is reached through them. */
  readonly onlyPort?: number | undefined;
};

export type PodConnections = { readonly inbound: readonly DumpConnection[]; readonly outbound: readonly DumpConnection[] };

/** What the admin server was asked, for the thread that decides. */
export type ExplainQuestion = { readonly which: "outbound" | "inbound"; readonly query: readonly (readonly [string, string])[] };
export type ExplainAnswer = { readonly json: unknown } | { readonly status: number; readonly error: string };

/** Everything that is asked of a thread and answered. */
export type Calls = {
  /** Answered when the pod's listeners are served. A key that is served already is answered again. */
  serve: { readonly ask: PodDescription; readonly answer: undefined };
  /** Cuts everything of the pod; answered when the thread holds nothing of it any more. */
  stop: { readonly ask: { readonly key: number }; readonly answer: undefined };
  /** Stops accepting; answered when nothing is left, at the deadline at last. */
  drain: { readonly ask: { readonly key: number; readonly deadlineMs: number }; readonly answer: undefined };
  /** Answered by the event loop that serves: proves that it turns. */
  beat: { readonly ask: undefined; readonly answer: undefined };
  /** By pod uid. */
  connections: { readonly ask: undefined; readonly answer: Readonly<Record<string, PodConnections>> };
  explain: { readonly ask: ExplainQuestion; readonly answer: ExplainAnswer };
  /** Answered when everything that was sent before has been applied, and what was logged has been sent. */
  flush: { readonly ask: undefined; readonly answer: undefined };
  /** Answered with the profile as JSON when its time has passed. */
  profile: { readonly ask: ProfileQuestion; readonly answer: string };
  /** Gives back the memory that only the start needed; the thread does nothing else meanwhile (memory.ts). */
  giveBack: { readonly ask: undefined; readonly answer: undefined };
};
export type CallName = keyof Calls;

export type Call = {
  [K in CallName]: { readonly kind: "call"; readonly id: number; readonly name: K; readonly ask: Calls[K]["ask"] };
}[CallName];

export type ToThread =
  | Call
  | { readonly kind: "state"; readonly message: StateMessage }
  /** The pod is served by every thread: connections may be passed on. */
  | { readonly kind: "balance"; readonly key: number }
  | { readonly kind: "terminate"; readonly key: number }
  | { readonly kind: "certificate"; readonly identity: SpiffeId; readonly issued: IssuedCert }
  | { readonly kind: "no-certificate"; readonly identity: SpiffeId; readonly error: string }
  /** The revocation lists in force: the file, whole. */
  | { readonly kind: "revocations"; readonly file: Uint8Array }
  | { readonly kind: "levels"; readonly levels: string }
  /** The state that answers has been told before this; with an error the controller did not say. */
  | { readonly kind: "looked-up"; readonly id: number; readonly error: string | undefined }
  /** A way to another data thread; the one before to that thread is over. */
  | { readonly kind: "peer"; readonly index: number; readonly port: MessagePort };

/** A family of metrics of the thread; `family` numbers it from here on. */
export type MetricFamily = {
  readonly family: number;
  readonly type: "counter" | "counters" | "gauge" | "histogram";
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** The upper bounds of a histogram. */
  readonly buckets: readonly number[];
  /** The counters of a set, in the order of their slots. */
  readonly members?: readonly { readonly name: string; readonly help: string }[];
};

export type MetricEvent =
  | ({ readonly kind: "family" } & MetricFamily)
  /** Float64Array of slots. */
  | { readonly kind: "slab"; readonly slab: number; readonly buffer: SharedArrayBuffer }
  /** A new child: its values are at `at` of the slab (a histogram's: its buckets, then +Inf, then the sum). */
  | { readonly kind: "child"; readonly family: number; readonly values: readonly string[]; readonly slab: number; readonly at: number };

export type FromThread =
  | { readonly kind: "up" }
  | { readonly kind: "answer"; readonly id: number; readonly value: unknown }
  | { readonly kind: "failure"; readonly id: number; readonly error: string }
  | { readonly kind: "lines"; readonly lines: string }
  /** `urgent`: a connection waits. */
  | { readonly kind: "want"; readonly identity: SpiffeId; readonly urgent: boolean }
  | { readonly kind: "forget"; readonly identity: SpiffeId }
  /** A mesh that is fetched on demand: what are these? Answered by "looked-up" with the number. */
  | { readonly kind: "look-up"; readonly id: number; readonly names: readonly string[] }
  | MetricEvent;

/** Between data threads: a connection is offered; it is the offering thread's until it is taken. */
export type PeerMessage =
  | { readonly kind: "offer"; readonly id: number; readonly place: Place; readonly fd: number }
  | { readonly kind: "taken"; readonly id: number }
  | { readonly kind: "refused"; readonly id: number };
