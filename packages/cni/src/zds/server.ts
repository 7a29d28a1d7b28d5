// Who tells ztunnel which pods there are? (ZDS over SEQPACKET: hello, snapshot, then live changes in lock-step; ambient-l4 section 1.3)

import { createSeqpacketConnection, createSeqpacketServer, type SeqpacketConnection } from "@ambit/shared/linux/seqpacket.ts";
import { closeFd } from "@ambit/shared/linux/socket.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { ScopedLogger } from "@ambit/shared/telemetry/log.ts";
import type { ZdsExtension, ZdsRequest, ZdsWorkload } from "@ambit/shared/wire/types.ts";
import { decodeZdsAck, decodeZdsHello, encodeZdsRequest } from "@ambit/shared/wire/zds.ts";

export type PodInfo = ZdsWorkload;
/** A pod for the snapshot; without a namespace fd ztunnel is only told to keep what it has. */
export type SnapshotEntry = { readonly uid: string; readonly info: PodInfo; readonly netns: number | undefined; readonly ending: boolean };

export type ZdsServer = {
  /** To the newest ztunnel. Rejects when none is connected, or with ztunnel's own complaint. */
  add(uid: string, info: PodInfo, netns: number): Promise<void>;
  /** To every ztunnel that understands it: the pod has been told to end. Resolves when all have answered or gone. */
  terminating(uid: string): Promise<void>;
  /** To every ztunnel; resolves when all have answered or gone. */
  del(uid: string): Promise<void>;
  connected(): number;
  close(): void;
};

export type ZdsOptions = {
  readonly path: string;
  /** Asked when a ztunnel connects. */
  readonly snapshot: () => readonly SnapshotEntry[];
  /** A ztunnel has taken its snapshot; or one has gone. */
  readonly onChange: (connected: number) => void;
  readonly world: World;
  readonly log: ScopedLogger;
};

/** How long a peer may take for one answer. */
const ANSWER_MS = 5_000;

type Session = {
  exchange(request: ZdsRequest, netns?: number): Promise<void>;
  hello(): Promise<void>;
  /** Whether its hello said so. */
  understands(extension: ZdsExtension): boolean;
  close(why: string): void;
};

/** One ztunnel: every request waits for the answer to the one before. */
const createSession = (fd: number, deps: Pick<ZdsOptions, "world" | "log"> & { onEnd: () => void }): Session => {
  let waiting: PromiseWithResolvers<Buffer> | undefined;
  let early: Buffer | undefined;
  let tail: Promise<unknown> = Promise.resolve();
  let ended: Error | undefined;
  let understood: readonly ZdsExtension[] = [];

  const close = (why: string): void => {
    if (ended !== undefined) return;
    deps.log.warn("ztunnel connection dropped", { reason: why });
    connection.close();
  };
  const connection: SeqpacketConnection = createSeqpacketConnection(fd, {
    onMessage: ({ bytes, fds }) => {
      for (const stray of fds) closeFd(stray);
      if (waiting !== undefined) {
        const { resolve } = waiting;
        waiting = undefined;
        resolve(bytes);
      } else if (early === undefined) early = bytes;
      else close("a message arrived that nothing asked for");
    },
    onClose: (reason) => {
      ended = reason ?? new Error("ztunnel closed the connection");
      waiting?.reject(ended);
      waiting = undefined;
      deps.onEnd();
    },
  });

  const nextMessage = async (): Promise<Buffer> => {
    if (early !== undefined) {
      const bytes = early;
      early = undefined;
      return bytes;
    }
    if (ended !== undefined) throw ended;
    waiting = Promise.withResolvers();
    const answered = new AbortController();
    const timeout = deps.world.sleep(ANSWER_MS, answered.signal).then(
      () => close(`no answer within ${ANSWER_MS / 1000} s`),
      () => undefined, // answered in time
    );
    try {
      return await waiting.promise;
    } finally {
      answered.abort();
      await timeout;
    }
  };
  const inTurn = <T>(task: () => Promise<T>): Promise<T> => {
    const turn = tail.then(task, task);
    tail = turn.catch(() => undefined); // the caller of this turn has the error; the next turn starts regardless
    return turn;
  };

  return {
    hello: () =>
      inTurn(async () => {
        const hello = decodeZdsHello(await nextMessage());
        if (!hello.ok) {
          close(`bad hello: ${hello.error}`);
          throw new Error(hello.error);
        }
        understood = hello.value.understands;
      }),
    understands: (extension) => understood.includes(extension),
    exchange: (request, netns) =>
      inTurn(async () => {
        if (early !== undefined) close("a message arrived that nothing asked for");
        await connection.send(encodeZdsRequest(request), netns === undefined ? [] : [netns]);
        const ack = decodeZdsAck(await nextMessage());
        if (!ack.ok) {
          close(`bad answer: ${ack.error}`);
          throw new Error(ack.error);
        }
        if (ack.value.error !== "") throw new Error(`ztunnel answered: ${ack.value.error}`);
      }),
    close,
  };
};

export const createZdsServer = (options: ZdsOptions): ZdsServer => {
  const { log, world } = options;
  const sessions: Session[] = []; // oldest first; those that have taken their snapshot or are taking it

  const request = (e: SnapshotEntry): ZdsRequest =>
    e.netns === undefined ? { kind: "keep", uid: e.uid } : { kind: "add", uid: e.uid, workload: e.info };
  const greet = async (session: Session): Promise<void> => {
    await session.hello();
    sessions.push(session);
    const entries = options.snapshot();
    for (const e of entries)
      await session.exchange(request(e), e.netns).catch((error: unknown) => {
        // ztunnel keeps a pod that it could not start as pending and retries by itself.
        log.warn("ztunnel did not take a pod of its snapshot", { uid: e.uid, error: String(error) });
      });
    await session.exchange({ kind: "snapshot-sent" });
    // Asked for again: one may have been told to end since, before this ztunnel had heard of it.
    if (session.understands("terminating"))
      for (const { uid } of options.snapshot().filter((e) => e.ending)) await session.exchange({ kind: "terminating", uid });
    log.info("ztunnel connected", { pods: entries.length });
    options.onChange(sessions.length);
  };
  const server = createSeqpacketServer(options.path, (fd) => {
    const session = createSession(fd, {
      world,
      log,
      onEnd: () => {
        const at = sessions.indexOf(session);
        if (at < 0) return;
        sessions.splice(at, 1);
        log.info("ztunnel disconnected", { left: sessions.length });
        options.onChange(sessions.length);
      },
    });
    greet(session).catch((e: unknown) => session.close(`handshake failed: ${e instanceof Error ? e.message : String(e)}`));
  });

  /** To all of them; that one does not answer is no reason not to tell the others. */
  const tell = async (to: readonly Session[], told: { kind: "del" | "terminating"; uid: string }): Promise<void> => {
    const results = await Promise.allSettled(to.map((s) => s.exchange(told)));
    for (const r of results) if (r.status === "rejected") log.warn("ztunnel did not confirm", { ...told, error: String(r.reason) });
  };

  return {
    add: async (uid, info, netns) => {
      const newest = sessions.at(-1);
      if (newest === undefined) throw new Error("no ztunnel is connected");
      await newest.exchange({ kind: "add", uid, workload: info }, netns);
    },
    terminating: (uid) =>
      tell(
        sessions.filter((s) => s.understands("terminating")),
        { kind: "terminating", uid },
      ),
    del: (uid) => tell(sessions, { kind: "del", uid }),
    connected: () => sessions.length,
    close: () => {
      server.close();
      for (const s of [...sessions]) s.close("the agent stops");
    },
  };
};
