// How is a run shown: as a table, with the machine it ran on?
import { barOf, type Metric, ratioOf } from "./bars.ts";
import { summarize } from "./stats.ts";

export type Run = {
  readonly command: string;
  /** One line each. */
  readonly facts: readonly string[];
  readonly metrics: readonly Metric[];
  /** What could not be measured, a sentence each. */
  readonly failures: readonly string[];
  readonly note: string | undefined;
};

/** Three digits that mean something. */
export const figure = (n: number): string => {
  if (!Number.isFinite(n)) return "–";
  const size = Math.abs(n);
  return n.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
};

const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

const rowsOf = (metric: Metric): string[] =>
  Object.entries(metric.values).map(([path, values], i) => {
    const s = summarize(values);
    const ratio = ratioOf(metric, path);
    const times = ratio === undefined ? "" : `${figure(ratio)} × ${metric.against}`;
    const title = i === 0 ? `${metric.title}, ${metric.unit}` : "";
    return row([title, path, figure(s.min), `**${figure(s.median)}**`, figure(s.max), times, barOf(metric, path) ?? ""]);
  });

export const table = (metrics: readonly Metric[]): string =>
  [
    row(["", "path", "min", "median", "max", "median against", "bar"]),
    row(["---", "---", "---:", "---:", "---:", "---", "---"]),
    ...metrics.flatMap(rowsOf),
  ].join("\n");

export const markdown = (run: Run): string =>
  [
    `\`${run.command}\``,
    "",
    ...run.facts.map((f) => `- ${f}`),
    ...(run.note === undefined ? [] : [`- ${run.note}`]),
    "",
    table(run.metrics),
    ...(run.failures.length === 0 ? [] : ["", "Not measured:", ...run.failures.map((f) => `- ${f}`)]),
    "",
  ].join("\n");

const BEGIN = "<!-- made by make bench: begin -->";
const END = "<!-- made by make bench: end -->";

/** The document with the run in its marked place, which is put at the end where there is none. */
export const placed = (document: string, text: string): string => {
  const section = `${BEGIN}\n${text.trim()}\n${END}`;
  const from = document.indexOf(BEGIN);
  const to = document.indexOf(END);
  if (from < 0 || to < from) return `${document.trimEnd()}\n\n${section}\n`;
  return document.slice(0, from) + section + document.slice(to + END.length);
};
