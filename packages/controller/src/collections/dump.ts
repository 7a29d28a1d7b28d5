// What does the graph look like, as text for a person?

import type { Graph } from "./core.ts";

/** One line per collection in topological order: kind, name, records, runs, dependencies held, what it reads. */
export const dumpGraph = (graph: Graph): string => {
  const rows = graph.vertices.map((v) => [
    v.kind,
    v.name,
    `${v.size} records`,
    `${v.runs()} runs`,
    `${v.dependencies()} deps`,
    v.inputs.length === 0 ? "" : `<- ${v.inputs.join(", ")}`,
  ]);
  const widths = [0, 1, 2, 3, 4].map((i) => Math.max(0, ...rows.map((r) => r[i]?.length ?? 0)));
  return `${rows
    .map((r) =>
      r
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n")}\n`;
};
