// What is known of the resources that are asked for by name, and who waits for an answer? (on-demand xDS, ambient-l4 section 3.3)

import { MeshError } from "../errors/mesh-error.ts";
import type { World } from "../runtime/world.ts";
import type { XdsUpdate } from "./client.ts";

export type Demand = {
  /**
   * Resolves when what the server knows by these names has been applied, which may be nothing: at once for names that it has
   * answered before. Rejects with MeshError CONNECT when it does not answer in time (not knowing is never taken for "it is not
   * there"), or with the signal's reason.
   */
  want(names: readonly string[], signal?: AbortSignal): Promise<void>;
  /** Whether the server has answered for the name, and the answer is not too old to be relied on. */
  answered(name: string): boolean;
  /** An update has been applied: whoever waits for what it names goes on. */
  applied(update: Pick<XdsUpdate, "upserts" | "removed">): void;
};

export type DemandLimits = {
  readonly answerMs: number;
  /** That a name does not exist is believed for so long: not every server tells when it comes to exist. */
  readonly absentMs: number;
  /** Names remembered as absent; of more, the oldest are given up. */
  readonly maxAbsent: number;
};
const LIMITS: DemandLimits = { answerMs: 5_000, absentMs: 5_000, maxAbsent: 4_096 };

export type DemandOptions = {
  readonly subscribe: (names: readonly string[]) => void;
  readonly unsubscribe: (names: readonly string[]) => void;
  readonly world: Pick<World, "now" | "sleep">;
  readonly limits?: Partial<DemandLimits>;
};

type Asked = { readonly t: "asked"; readonly waiters: Set<() => void> };
type Entry = Asked | { readonly t: "known" } | { readonly t: "absent"; readonly at: number };

export const createDemand = ({ subscribe, unsubscribe, world, limits: given }: DemandOptions): Demand => {
  const limits = { ...LIMITS, ...given };
  // In the order of their last answer, so that the oldest of the absent come first.
  const entries = new Map<string, Entry>();
  /** The other names of what is known, which no server names when it is removed. */
  const others = new Map<string, readonly string[]>();
  let absent = 0;

  const put = (name: string, entry: Entry): void => {
    const before = entries.get(name);
    if (before?.t === "absent") absent--;
    entries.delete(name);
    entries.set(name, entry);
    if (entry.t === "absent") absent++;
    if (before?.t === "asked" && entry.t !== "asked") for (const wake of before.waiters) wake();
  };
  const forgetOldest = (): void => {
    if (absent <= limits.maxAbsent) return;
    const oldest: string[] = [];
    for (const [name, e] of entries) {
      if (oldest.length >= limits.maxAbsent / 8) break;
      if (e.t === "absent") oldest.push(name);
    }
    for (const name of oldest) entries.delete(name);
    absent -= oldest.length;
    unsubscribe(oldest);
  };
  const answered = (name: string): boolean => {
    const e = entries.get(name);
    return e?.t === "known" || (e?.t === "absent" && world.now() - e.at < limits.absentMs);
  };

  /** These stand for something else now, or for nothing: asked for anew when they are wanted. */
  const outdated = (names: readonly string[]): void => {
    const known = names.filter((n) => entries.get(n)?.t === "known");
    for (const n of known) entries.delete(n);
    if (known.length > 0) unsubscribe(known);
  };

  const wait = (names: readonly string[], signal: AbortSignal | undefined): Promise<void> =>
    new Promise((resolve, reject) => {
      const left = new Set(names);
      const settled = new AbortController();
      const wakes = names.map((name) => {
        const wake = (): void => {
          left.delete(name);
          if (left.size > 0) return;
          end();
          resolve();
        };
        return { name, wake };
      });
      const end = (): void => {
        settled.abort();
        signal?.removeEventListener("abort", onAbort);
        for (const { name, wake } of wakes) {
          const e = entries.get(name);
          if (e?.t === "asked") e.waiters.delete(wake);
        }
      };
      const onAbort = (): void => {
        end();
        reject(signal?.reason);
      };
      for (const { name, wake } of wakes) {
        const e = entries.get(name);
        if (e?.t === "asked") e.waiters.add(wake);
      }
      signal?.addEventListener("abort", onAbort, { once: true });
      void world.sleep(limits.answerMs, settled.signal).then(
        () => {
          end();
          reject(new MeshError("CONNECT", `the controller did not say within ${limits.answerMs} ms what ${[...left].join(", ")} is`));
        },
        () => undefined, // answered, or given up
      );
    });

  return {
    answered,
    want: async (names, signal) => {
      signal?.throwIfAborted();
      const open = [...new Set(names)].filter((n) => !answered(n));
      if (open.length === 0) return;
      const fresh = open.filter((n) => entries.get(n)?.t !== "asked");
      for (const name of fresh) put(name, { t: "asked", waiters: new Set() });
      // Waiting begins before asking: the answer may come in the same turn.
      const waiting = wait(open, signal);
      if (fresh.length > 0) subscribe(fresh);
      await waiting;
    },
    applied: ({ upserts, removed }) => {
      // What nobody asked for by this name came as another's companion, or under another name: a service's endpoints come only with its own.
      for (const { name, aliases } of upserts) {
        for (const n of [name, ...aliases]) if (entries.has(n)) put(n, { t: "known" });
        outdated((others.get(name) ?? []).filter((n) => !aliases.includes(n)));
        others.set(name, aliases);
      }
      const at = world.now();
      for (const name of removed) {
        if (entries.has(name)) put(name, { t: "absent", at });
        const aliases = others.get(name) ?? [];
        others.delete(name);
        outdated(aliases);
      }
      forgetOldest();
    },
  };
};
