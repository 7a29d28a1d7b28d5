// How are several peers measured so that the machine's moods hit all alike: in rounds, each peer once a round?
import type { Metric } from "./bars.ts";
import { rotate } from "./stats.ts";

/** Figures of one measurement, by metric id. */
export type Reading = Readonly<Record<string, number>>;

export type Suite<P extends { readonly name: string }> = {
  readonly metrics: readonly Pick<Metric, "id" | "title" | "unit" | "against">[];
  readonly paths: readonly P[];
  measure(path: P): Promise<Reading>;
  /** Once before the first round: what has just started is not yet what runs for weeks. */
  warmUp?(): Promise<void>;
  /** Turns a round's readings into what is reported, such as one path's figures less another's. */
  derive?(round: Readonly<Record<string, Reading>>): Readonly<Record<string, Reading>>;
};

export type RoundsOptions = { readonly repeat: number; readonly say: (line: string) => void; readonly mayGoOn: () => boolean };

/** As many rounds as asked, or as the time allows; every metric has as many values as rounds were finished. */
export const inRounds = async <P extends { readonly name: string }>(suite: Suite<P>, options: RoundsOptions): Promise<Metric[]> => {
  const rounds: Readonly<Record<string, Reading>>[] = [];
  await suite.warmUp?.();
  for (let i = 0; i < options.repeat && (i === 0 || options.mayGoOn()); i++) {
    const round: Record<string, Reading> = {};
    for (const path of rotate(suite.paths, i)) {
      const reading = await suite.measure(path);
      round[path.name] = reading;
      const shown = Object.entries(reading).map(([id, n]) => `${id} ${n.toPrecision(3)}`);
      options.say(`round ${i + 1} of ${options.repeat}: ${path.name}: ${shown.join(", ")}`);
    }
    rounds.push(suite.derive?.(round) ?? round);
  }
  return suite.metrics.map((m) => ({
    ...m,
    values: Object.fromEntries(
      suite.paths.flatMap(({ name }) => {
        const values = rounds.flatMap((r) => r[name]?.[m.id] ?? []);
        return values.length === 0 ? [] : [[name, values]];
      }),
    ),
  }));
};
