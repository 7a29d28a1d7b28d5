// What does the process itself use? (prom-client's collectors of process figures)

import { createRequire } from "node:module";
import type { Registry } from "prom-client";
import type { Described } from "./exposition.ts";

export type ProcessSample = { readonly name: string; readonly labels: Readonly<Record<string, string>>; readonly value: number };
export type ProcessFamily = Described & { readonly samples: readonly ProcessSample[] };

/**
 * The parts by themselves: the package's index also loads OpenTelemetry, the cluster module and the push gateway, 9 MB of
 * resident memory that nothing here asks for. Its CPU collector is one of those that do, and its event loop and GC
 * collectors wake an idle process a hundred times a second.
 */
const PARTS = ["processOpenFileDescriptors", "processMaxFileDescriptors", "processStartTime", "osMemoryHeap", "heapSizeAndUsed", "version"];

type Collected = {
  readonly name: string;
  readonly help: string;
  readonly type: Described["type"];
  readonly values: readonly { readonly labels: Readonly<Record<string, string | number>>; readonly value: number }[];
};

const seconds = (micros: number): number => micros / 1e6;

const cpu = (): ProcessFamily[] => {
  const { user, system } = process.cpuUsage();
  const of = (name: string, help: string, value: number): ProcessFamily => ({
    name,
    help,
    type: "counter",
    samples: [{ name, labels: {}, value }],
  });
  return [
    of("process_cpu_user_seconds_total", "Total user CPU time spent in seconds.", seconds(user)),
    of("process_cpu_system_seconds_total", "Total system CPU time spent in seconds.", seconds(system)),
    of("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", seconds(user + system)),
  ];
};

/** Asks for the figures of now: process_open_fds, process_max_fds, process_resident_memory_bytes and the like. */
export const createProcessMetrics = (): (() => Promise<readonly ProcessFamily[]>) => {
  const load = createRequire(import.meta.url);
  const OwnRegistry = load("prom-client/lib/registry") as new () => Registry;
  const registry = new OwnRegistry();
  for (const part of PARTS) (load(`prom-client/lib/metrics/${part}`) as (registry: Registry) => void)(registry);
  return async () => {
    const collected = (await registry.getMetricsAsJSON()) as unknown as readonly Collected[];
    return [
      ...cpu(),
      ...collected.map(({ name, help, type, values }) => ({
        name,
        help,
        type,
        samples: values.map(({ labels, value }) => ({
          name,
          labels: Object.fromEntries(Object.entries(labels).map(([k, v]) => [k, String(v)])),
          value,
        })),
      })),
    ];
  };
};
