// What is to be measured, and how often?
import { parseArgs } from "node:util";
import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";

export const SUITES = ["memory", "throughput", "latency", "connections", "http"] as const;
export type SuiteName = (typeof SUITES)[number];

export type Options = {
  readonly only: readonly SuiteName[];
  readonly repeat: number;
  /** How long one measurement lasts. */
  readonly seconds: number;
  /** Idle connections held to learn what one costs. */
  readonly held: number;
  /** Workloads made up to learn what knowing them costs. */
  readonly workloads: number;
  /** Puts the result into docs/performance.md. */
  readonly write: boolean;
  /** Printed under the table: what a reader should know of this run. */
  readonly note: string | undefined;
  /** ztunnels run under V8's CPU profiler; the profiles go to this directory. */
  readonly profile: string | undefined;
};

export const USAGE = `make bench ARGS="…"
  --only a,b        of ${SUITES.join(", ")} (all)
  --repeat N        rounds, each measuring every peer once (5)
  --seconds N       length of one measurement (2)
  --held N          idle connections held for their memory (10000)
  --workloads N     workloads made up for their memory (10000)
  --write           put the result into docs/performance.md
  --note TEXT       a remark to print under the result
  --profile DIR     run ztunnel under the CPU profiler, keep the profiles there
`;

const isSuite = (name: string): name is SuiteName => SUITES.some((s) => s === name);

const count = (name: string, text: string, most: number): Result<number> => {
  const n = Number(text);
  return Number.isInteger(n) && n >= 1 && n <= most ? ok(n) : err(`--${name} takes a whole number from 1 to ${most}, not "${text}"`);
};

const FLAGS = {
  only: { type: "string", default: SUITES.join() },
  repeat: { type: "string", default: "5" },
  seconds: { type: "string", default: "2" },
  held: { type: "string", default: "10000" },
  workloads: { type: "string", default: "10000" },
  write: { type: "boolean", default: false },
  note: { type: "string" },
  profile: { type: "string" },
} as const;

const flagsOf = (argv: readonly string[]) => {
  try {
    return ok(parseArgs({ args: [...argv], options: FLAGS }).values);
  } catch (e) {
    return err(e instanceof Error ? e.message : String(e)); // parseArgs throws for flags it does not know
  }
};

/** The command line, or one sentence with what is wrong in it. */
export const parseOptions = (argv: readonly string[]): Result<Options> => {
  const flags = flagsOf(argv);
  if (!flags.ok) return flags;
  const { only, write, note, profile } = flags.value;
  const names = only.split(",");
  const unknown = names.filter((n) => !isSuite(n));
  if (unknown.length > 0) return err(`--only: there is no "${unknown.join(", ")}"; there are ${SUITES.join(", ")}`);
  const repeat = count("repeat", flags.value.repeat, 50);
  if (!repeat.ok) return repeat;
  const seconds = count("seconds", flags.value.seconds, 30);
  if (!seconds.ok) return seconds;
  const held = count("held", flags.value.held, 10_000); // our own limit of open files
  if (!held.ok) return held;
  const workloads = count("workloads", flags.value.workloads, 60_000);
  if (!workloads.ok) return workloads;
  return ok({
    only: SUITES.filter((s) => names.includes(s)),
    repeat: repeat.value,
    seconds: seconds.value,
    held: held.value,
    workloads: workloads.value,
    write,
    note,
    profile,
  });
};
