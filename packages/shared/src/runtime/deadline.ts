// How do many waits of one length cost next to nothing, when almost all of them are called off?

import type { World } from "./world.ts";

/** In the order in which they are due; those called off stay until they are at the front. */
type Queue = {
  readonly entries: { readonly at: number; fire: (() => void) | undefined }[];
  front: number;
  /** How many are not called off. */
  live: number;
  sleeping: AbortController | undefined;
  /** Nobody waited a moment ago; whether that is so still is looked at in a while. */
  resting: boolean;
};

const queues = new WeakMap<World, Map<number, Queue>>();

const queueOf = (world: World, ms: number): Queue => {
  const ofWorld = queues.get(world) ?? new Map<number, Queue>();
  queues.set(world, ofWorld);
  const queue = ofWorld.get(ms) ?? { entries: [], front: 0, live: 0, sleeping: undefined, resting: false };
  ofWorld.set(ms, queue);
  return queue;
};

const first = (q: Queue): Queue["entries"][number] | undefined => {
  while (q.front < q.entries.length && q.entries[q.front]?.fire === undefined) q.front += 1;
  if (q.front > 1000 || q.front === q.entries.length) {
    q.entries.splice(0, q.front);
    q.front = 0;
  }
  return q.entries[q.front];
};

/** How long the timer of a queue outlives the last wait, in ms: where waits come all the time it is not stopped and set again for each. */
const REST_MS = 50;

/** Stops the timer when nobody has come to wait meanwhile: then nothing keeps the process awake. */
const rest = (q: Queue, world: World): void => {
  if (q.resting) return;
  q.resting = true;
  void world.sleep(REST_MS).then(() => {
    q.resting = false;
    if (q.live > 0) return;
    q.sleeping?.abort(OFF);
    q.sleeping = undefined;
  });
};

const run = (q: Queue, world: World): void => {
  const due = first(q);
  if (due === undefined) return;
  const sleeping = new AbortController();
  q.sleeping = sleeping;
  world.sleep(Math.max(0, due.at - world.now()), sleeping.signal).then(
    () => {
      q.sleeping = undefined;
      for (let e = first(q); e !== undefined && e.at <= world.now(); e = first(q)) {
        const { fire } = e;
        e.fire = undefined;
        q.live -= 1;
        fire?.();
      }
      if (q.sleeping === undefined) run(q, world);
    },
    () => undefined, // nobody waits any more
  );
};

/** Calls `fire` after ms, unless what it returns is called before. For few different values of ms: each has one timer, whatever waits for it. */
export const deadline = (world: World, ms: number, fire: () => void): (() => void) => {
  const q = queueOf(world, ms);
  const entry: Queue["entries"][number] = { at: world.now() + ms, fire };
  q.entries.push(entry);
  q.live += 1;
  if (q.sleeping === undefined) run(q, world);
  return () => {
    if (entry.fire === undefined) return;
    entry.fire = undefined;
    q.live -= 1;
    if (q.live > 0) return;
    first(q);
    rest(q, world);
  };
};

const OFF = "called off";
