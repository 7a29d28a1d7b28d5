// How are the data threads kept running, asked and told? (the control thread's side)

import type { World } from "@ambit/shared/runtime/world.ts";
import type { ScopedLogger } from "@ambit/shared/telemetry/log.ts";
import { TAKES_NOTHING } from "./balance.ts";
import type { Call, CallName, Calls, FromThread, ThreadConfig, ThreadSetup, ToThread } from "./messages.ts";
import { mayRestart, TOO_OFTEN } from "./restarts.ts";
import { peerChannel, type Spawn, type ThreadProcess } from "./spawn.ts";

/** A data thread that lives. After its end everything asked of it rejects, and what it is told is dropped. */
export type ThreadHandle = {
  readonly index: number;
  call<K extends CallName>(name: K, ask: Calls[K]["ask"]): Promise<Calls[K]["answer"]>;
  tell(message: ToThread): void;
};

export type DataThreads = AsyncDisposable & {
  readonly count: number;
  /** Those that live, in the order of their numbers. */
  list(): readonly ThreadHandle[];
  tell(message: ToThread): void;
  /**
   * Asks every living thread. One that ends meanwhile is left out (it is started again, and told everything then), and so is one that
   * does not answer within the time, where there is one. Rejects with the first other failure.
   */
  ask<K extends CallName>(name: K, ask: (thread: number) => Calls[K]["ask"], withinMs?: number): Promise<readonly Calls[K]["answer"][]>;
  /** What each thread has to do now (balance.ts); undefined: it is not there. */
  loads(): readonly (number | undefined)[];
  /** How often a thread ended by itself. */
  readonly restarts: number;
  /** Resolves when all run and have been prepared. */
  started(): Promise<void>;
  /** Numbers of threads that are not there, or do not answer within the time. One that has not answered for half a minute is started again. */
  silent(withinMs: number): Promise<readonly number[]>;
  /** Rejects when data threads end again and again. */
  readonly failed: Promise<never>;
};

export type DataThreadsOptions = {
  readonly count: number;
  readonly config: ThreadConfig;
  readonly levels: () => string;
  readonly spawn: Spawn;
  readonly world: World;
  readonly log: ScopedLogger;
  readonly onMessage: (thread: number, message: Exclude<FromThread, { kind: "answer" | "failure" | "up" }>) => void;
  /** Everything a new thread must know before it takes its share: state, pods. */
  readonly prepare: (thread: ThreadHandle) => Promise<void>;
  readonly onGone: (thread: number) => void;
};

/** What was asked of a thread that has ended, or is stuck. */
export class ThreadGone extends Error {
  override readonly name = "ThreadGone";
}

type Running = ThreadHandle & {
  readonly process: ThreadProcess;
  readonly waiting: Map<number, PromiseWithResolvers<unknown>>;
  readonly up: PromiseWithResolvers<void>;
  /** Since when it has not answered; undefined: it did when it was last asked. */
  silentSince: number | undefined;
};

/** A thread that has answered nothing for so long will not come back. */
const STUCK_MS = 30_000;

export const createDataThreads = (options: DataThreadsOptions): DataThreads => {
  const { count, world, log, spawn } = options;
  const shared = new SharedArrayBuffer(4 * count);
  const loads = new Int32Array(shared).fill(TAKES_NOTHING);
  const running = new Map<number, Running>();
  const ended: number[] = [];
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined); // whoever runs the threads looks at it; nobody has to
  let closing = false;
  let calls = 0;

  const onMessage = (thread: Running, message: FromThread): void => {
    if (message.kind === "up") {
      thread.up.resolve();
      return;
    }
    if (message.kind !== "answer" && message.kind !== "failure") {
      options.onMessage(thread.index, message);
      return;
    }
    const waiting = thread.waiting.get(message.id);
    thread.waiting.delete(message.id);
    if (message.kind === "answer") waiting?.resolve(message.value);
    else waiting?.reject(new Error(message.error));
  };

  const onEnd = (thread: Running, error: Error | undefined): void => {
    Atomics.store(loads, thread.index, TAKES_NOTHING);
    running.delete(thread.index);
    const gone = new ThreadGone(`data thread ${thread.index} has ended`);
    for (const w of thread.waiting.values()) w.reject(gone);
    thread.up.reject(gone);
    options.onGone(thread.index);
    if (closing) return;
    const again = mayRestart(ended, world.now());
    ended.push(world.now());
    const reason = error?.stack ?? error?.message ?? "it was terminated";
    log.error(again ? "a data thread ended: starting it again" : "a data thread ended", { thread: thread.index, error: reason });
    if (again) void start(thread.index);
    else failed.reject(new Error(`${TOO_OFTEN}; the last one: ${error?.message ?? "it was terminated"}`, { cause: error }));
  };

  const connect = (thread: Running): void => {
    for (const other of running.values()) {
      if (other.index === thread.index) continue;
      const [one, two] = peerChannel();
      thread.process.post({ kind: "peer", index: other.index, port: one }, [one]);
      other.process.post({ kind: "peer", index: thread.index, port: two }, [two]);
    }
  };

  const make = (index: number): Running => {
    const setup: ThreadSetup = { index, config: options.config, levels: options.levels(), loads: shared };
    const waiting: Running["waiting"] = new Map();
    const process = spawn(setup, { onMessage: (m) => onMessage(thread, m), onEnd: (e) => onEnd(thread, e) });
    const thread: Running = {
      index,
      process,
      waiting,
      up: Promise.withResolvers(),
      silentSince: undefined,
      call: <K extends CallName>(name: K, ask: Calls[K]["ask"]): Promise<Calls[K]["answer"]> => {
        const answer = Promise.withResolvers<unknown>();
        if (running.get(index) !== thread) return Promise.reject(new ThreadGone(`data thread ${index} has ended`));
        const id = calls++;
        waiting.set(id, answer);
        process.post({ kind: "call", id, name, ask } as Call);
        return answer.promise as Promise<Calls[K]["answer"]>;
      },
      tell: (message) => {
        if (running.get(index) === thread) process.post(message);
      },
    };
    thread.up.promise.catch(() => undefined); // its end is acted on by onEnd
    running.set(index, thread);
    return thread;
  };

  /** Resolves when the thread takes connections; also when it ended before: then the next one of its number is under way. */
  const start = async (index: number): Promise<void> => {
    const thread = make(index);
    try {
      await thread.up.promise;
      connect(thread);
      await options.prepare(thread);
      if (running.get(index) === thread) Atomics.store(loads, index, 0);
    } catch (e) {
      if (e instanceof ThreadGone || closing) return;
      log.error("a data thread could not be prepared: it is started again", {
        thread: index,
        error: e instanceof Error ? e.message : String(e),
      });
      await thread.process.terminate();
    }
  };
  const first = Promise.all(Array.from({ length: count }, (_, i) => start(i)));

  const list = (): readonly Running[] => [...running.values()].sort((a, b) => a.index - b.index);

  const callWithin = <K extends CallName>(
    thread: Running,
    call: { name: K; ask: Calls[K]["ask"]; ms: number },
  ): Promise<Calls[K]["answer"]> => {
    const answered = new AbortController();
    const silence = world.sleep(call.ms, answered.signal).then(
      () => {
        throw new ThreadGone(`data thread ${thread.index} has not answered ${call.name} within ${call.ms} ms`);
      },
      () => new Promise<never>(() => {}), // it has answered: the race is over
    );
    return Promise.race([thread.call(call.name, call.ask), silence]).finally(() => answered.abort());
  };
  /** Called for a thread that has just not answered. */
  const endIfStuck = (thread: Running): void => {
    thread.silentSince ??= world.now();
    const forMs = world.now() - thread.silentSince;
    if (forMs < STUCK_MS || running.get(thread.index) !== thread) return;
    log.error("a data thread is stuck: ending it", { thread: thread.index, silentMs: forMs });
    void thread.process.terminate();
  };
  const takesConnections = (index: number): boolean => Atomics.load(loads, index) < TAKES_NOTHING / 2;

  return {
    count,
    list,
    tell: (message) => {
      for (const thread of list()) thread.tell(message);
    },
    ask: async <K extends CallName>(name: K, ask: (thread: number) => Calls[K]["ask"], ms?: number) => {
      const one = (t: Running) => (ms === undefined ? t.call(name, ask(t.index)) : callWithin(t, { name, ask: ask(t.index), ms }));
      const settled = await Promise.allSettled(list().map(one));
      const broken = settled.find((s) => s.status === "rejected" && !(s.reason instanceof ThreadGone));
      if (broken?.status === "rejected") throw broken.reason;
      return settled.flatMap((s) => (s.status === "fulfilled" ? [s.value as Calls[K]["answer"]] : []));
    },
    loads: () => Array.from(loads, (load, index) => (takesConnections(index) ? load : undefined)),
    get restarts() {
      return ended.length;
    },
    started: async () => void (await first),
    silent: async (withinMs) => {
      const answers = (thread: Running): Promise<boolean> =>
        callWithin(thread, { name: "beat", ask: undefined, ms: withinMs }).then(
          () => true,
          () => false,
        );
      const beats = Array.from({ length: count }, async (_, index) => {
        const thread = running.get(index);
        if (thread === undefined || !takesConnections(index)) return [index];
        const fine = await answers(thread);
        if (fine) thread.silentSince = undefined;
        else endIfStuck(thread);
        return fine ? [] : [index];
      });
      return (await Promise.all(beats)).flat();
    },
    failed: failed.promise,
    [Symbol.asyncDispose]: async () => {
      closing = true;
      await Promise.all(list().map((t) => t.process.terminate()));
    },
  };
};
