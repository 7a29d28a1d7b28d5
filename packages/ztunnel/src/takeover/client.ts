// How does a starting ztunnel get the listening sockets of the one before it, so that no connection that waits in them is lost?

import { readdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { LinuxError } from "@ambit/shared/linux/client.ts";
import type { NetnsIdentity } from "@ambit/shared/linux/netns.ts";
import { connectSeqpacket, type Message } from "@ambit/shared/linux/scm.ts";
import { createSeqpacketConnection } from "@ambit/shared/linux/seqpacket.ts";
import { closeFd } from "@ambit/shared/linux/socket.ts";
import { peerUid, socketFacts } from "@ambit/shared/linux/socket-facts.ts";
import type { Result } from "@ambit/shared/runtime/result.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { ScopedLogger } from "@ambit/shared/telemetry/log.ts";
import type { Listening } from "../inpod/listeners.ts";
import { objection, placeOf } from "./check.ts";
import { type Answer, decodeAnswer, encodeAsk, MAX_MESSAGE } from "./messages.ts";
import { newestFirst } from "./names.ts";

/** A ztunnel that does not answer this soon is stuck: own sockets are opened instead. */
const ANSWER_MS = 2_000;

export type SuccessionOptions = { readonly dir: string; readonly world: Pick<World, "sleep">; readonly log: ScopedLogger };

export type Succession = Disposable & {
  /**
   * The sockets that an older ztunnel of this node listens on for the pod, shared with it from now on: whatever waits in them is
   * accepted by either. Checked to be the pod's own; the caller's to close. Empty where nobody has any. Never rejects.
   */
  ask(uid: string, netns: NetnsIdentity): Promise<readonly Listening[]>;
  close(): void;
};

const text = (e: unknown): string => (e instanceof Error ? e.message : String(e));

type Predecessor = { ask(uid: string, netns: NetnsIdentity): Promise<readonly number[]>; close(): void };

const wrong = (answer: Result<Answer>): string => {
  if (!answer.ok) return answer.error;
  return answer.value.kind === "refused" ? answer.value.why : "an answer came that nothing asked for";
};

/** One older ztunnel: one question at a time. `ask` rejects when it is gone, silent, or does not know what we say. */
const createPredecessor = (fd: number, { world }: SuccessionOptions): Predecessor => {
  let waiting: { uid: string; fds: number[]; answer: PromiseWithResolvers<readonly number[]> } | undefined;
  let ended: Error | undefined;
  let tail: Promise<unknown> = Promise.resolve();

  const fail = (e: Error): void => {
    for (const open of waiting?.fds.splice(0) ?? []) closeFd(open);
    waiting?.answer.reject(e);
    waiting = undefined;
    connection.close();
  };
  const onMessage = ({ bytes, fds }: Message): void => {
    const answer = decodeAnswer(bytes);
    if (waiting === undefined || !answer.ok || answer.value.kind === "refused" || answer.value.uid !== waiting.uid) {
      for (const stray of fds) closeFd(stray);
      fail(new Error(wrong(answer)));
      return;
    }
    waiting.fds.push(...fds);
    if (answer.value.left > 0) return;
    waiting.answer.resolve(waiting.fds);
    waiting = undefined;
  };
  const connection = createSeqpacketConnection(fd, {
    maxBytes: MAX_MESSAGE,
    onMessage,
    onClose: (reason) => {
      ended = reason ?? new Error("it has ended");
      fail(ended);
    },
  });
  const exchange = async (uid: string, netns: NetnsIdentity): Promise<readonly number[]> => {
    if (ended !== undefined) throw ended;
    const answer = Promise.withResolvers<readonly number[]>();
    waiting = { uid, fds: [], answer };
    const answered = new AbortController();
    const late = world.sleep(ANSWER_MS, answered.signal).then(
      () => fail(new Error(`no answer within ${ANSWER_MS / 1_000} s`)),
      () => {}, // answered in time
    );
    try {
      const sent = connection.send(encodeAsk({ uid, dev: netns.dev, ino: netns.ino }));
      const [fds] = await Promise.all([answer.promise, sent]);
      return fds;
    } finally {
      answered.abort();
      await late;
    }
  };
  return {
    ask: (uid, netns) => {
      const turn = tail.then(() => exchange(uid, netns));
      tail = turn.catch(() => undefined); // the caller of this turn has the error
      return turn;
    },
    close: () => connection.close(),
  };
};

/** A connection to the socket's owner; undefined when it is dead (its socket file is removed) or not ours to talk to. */
const reach = (path: string, options: SuccessionOptions): Predecessor | undefined => {
  let fd: number;
  try {
    fd = connectSeqpacket(path);
  } catch (e) {
    if (e instanceof LinuxError && e.code === "ECONNREFUSED") unlinkSync(path);
    else options.log.warn("an older ztunnel cannot be asked for its listening sockets", { path, error: text(e) });
    return undefined;
  }
  const uid = peerUid(fd);
  if (uid === process.geteuid?.()) return createPredecessor(fd, options);
  options.log.warn("a socket of another user in the shared directory is not asked", { path, uid });
  closeFd(fd);
  return undefined;
};

const checked = (fds: readonly number[], netns: NetnsIdentity, log: ScopedLogger): Listening[] =>
  fds.flatMap((fd) => {
    let why: string | undefined;
    try {
      const facts = socketFacts(fd);
      why = objection(facts, netns);
      if (why === undefined && facts.takes !== "nothing") return [{ kind: facts.takes, port: facts.port, at: placeOf(facts.ip), fd }];
    } catch (e) {
      why = text(e);
    }
    log.warn("a socket that an older ztunnel gave is not served", { why });
    closeFd(fd);
    return [];
  });

/** Finds the ztunnels that run on the node now: those started later are not ours to succeed. */
export const createSuccession = (options: SuccessionOptions): Succession => {
  const { dir, log } = options;
  const older = new Map<string, Predecessor>();
  try {
    for (const name of newestFirst(readdirSync(dir))) {
      const predecessor = reach(join(dir, name), options);
      if (predecessor !== undefined) older.set(name, predecessor);
    }
  } catch (e) {
    log.warn("no older ztunnel is looked for", { dir, error: text(e) });
  }
  if (older.size > 0) log.info("taking over from an older ztunnel of this node", { sockets: [...older.keys()].join(", ") });
  const close = (): void => {
    for (const p of older.values()) p.close();
    older.clear();
  };
  return {
    ask: async (uid, netns) => {
      for (const [name, predecessor] of [...older]) {
        try {
          const found = checked(await predecessor.ask(uid, netns), netns, log);
          if (found.length > 0) return found;
        } catch (e) {
          older.delete(name);
          predecessor.close();
          log.info("an older ztunnel is asked no more", { socket: name, reason: text(e) });
        }
      }
      return [];
    },
    close,
    [Symbol.dispose]: close,
  };
};
