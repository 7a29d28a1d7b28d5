// What does a message from the CNI agent change about the pods we serve? (ZDS, ambient-l4 section 1.3)

import type { LocalWorkload } from "@ambit/shared/state/view.ts";
import type { ZdsRequest } from "@ambit/shared/wire/types.ts";

/** Two equal identities are one namespace. */
export type NetnsId = { readonly dev: bigint; readonly ino: bigint };

/** A pod that was announced: served ("running"), or failed to start and tried again ("pending"). */
export type KnownPod = { readonly netns: NetnsId; readonly who: LocalWorkload; readonly state: "running" | "pending" };
export type KnownPods = ReadonlyMap<string, KnownPod>;

/** One connection to the agent: first it names all pods, then it tells changes. */
export type Session = { readonly phase: "snapshot"; readonly named: ReadonlySet<string> } | { readonly phase: "live" };

export const FIRST_SESSION: Session = { phase: "snapshot", named: new Set() };

export type PodAction =
  /** Serve it in the namespace that came with the message. */
  | { readonly kind: "start"; readonly uid: string }
  /** The pod has another namespace now: stop what runs, then serve the new one. */
  | { readonly kind: "replace"; readonly uid: string }
  /** It has been told to end: its callers are asked to go elsewhere. */
  | { readonly kind: "terminate"; readonly uid: string }
  /** Cut its connections and forget it. */
  | { readonly kind: "stop"; readonly uid: string };

export type Step =
  | { readonly kind: "accept"; readonly session: Session; readonly actions: readonly PodAction[] }
  /** The agent broke the protocol: answer the error and start a new connection. */
  | { readonly kind: "refuse"; readonly error: string };

const accept = (session: Session, ...actions: PodAction[]): Step => ({ kind: "accept", session, actions });
const refuse = (error: string): Step => ({ kind: "refuse", error: `protocol error: ${error}` });

const samePod = (known: KnownPod, who: LocalWorkload, netns: NetnsId): boolean =>
  known.netns.dev === netns.dev &&
  known.netns.ino === netns.ino &&
  known.who.name === who.name &&
  known.who.namespace === who.namespace &&
  known.who.serviceAccount === who.serviceAccount;

const nameIt = (session: Session, uid: string): Session =>
  session.phase === "live" ? session : { phase: "snapshot", named: new Set([...session.named, uid]) };

const addStep = (session: Session, pods: KnownPods, add: { uid: string; who: LocalWorkload; netns: NetnsId }): Step => {
  const next = nameIt(session, add.uid);
  const known = pods.get(add.uid);
  if (known === undefined) return accept(next, { kind: "start", uid: add.uid });
  if (!samePod(known, add.who, add.netns)) return accept(next, { kind: "replace", uid: add.uid });
  return known.state === "running" ? accept(next) : accept(next, { kind: "start", uid: add.uid });
};

const delStep = (session: Session, pods: KnownPods, uid: string): Step => {
  const known = pods.get(uid);
  if (session.phase === "live") return known === undefined ? accept(session) : accept(session, { kind: "stop", uid });
  // Before the snapshot is complete only the name goes: what runs is stopped at its end.
  const named = new Set([...session.named].filter((n) => n !== uid));
  const rest: Session = { phase: "snapshot", named };
  return known?.state === "pending" ? accept(rest, { kind: "stop", uid }) : accept(rest);
};

/** What to do on one message. `netns` is the namespace whose fd came with it, if one came. */
export const step = (session: Session, pods: KnownPods, message: { request: ZdsRequest; netns: NetnsId | undefined }): Step => {
  const { request, netns } = message;
  if (netns !== undefined && request.kind !== "add") return refuse(`${request.kind} came with a file descriptor`);
  switch (request.kind) {
    case "add":
      return netns === undefined
        ? refuse(`add of ${request.uid} came without the namespace's file descriptor`)
        : addStep(session, pods, { uid: request.uid, who: request.workload, netns });
    case "keep":
      return session.phase === "live" ? refuse("keep after the snapshot was sent") : accept(nameIt(session, request.uid));
    case "del":
      return delStep(session, pods, request.uid);
    case "terminating":
      return pods.has(request.uid) ? accept(session, { kind: "terminate", uid: request.uid }) : accept(session);
    case "snapshot-sent": {
      if (session.phase === "live") return refuse("the snapshot was sent twice");
      const gone = [...pods.keys()].filter((uid) => !session.named.has(uid));
      return accept({ phase: "live" }, ...gone.map((uid): PodAction => ({ kind: "stop", uid })));
    }
  }
};
