// Where do log events go, and who may write them?

import type { Result } from "../runtime/result.ts";
import { enabled, formatLevels, type Levels, parseLevels } from "./log-levels.ts";
import { createTimestamps, jsonLine, type LogFields, type LogLevel, textLine } from "./log-line.ts";
import { type BatchedOutput, batchedOutput } from "./output.ts";

export type LogFormat = "text" | "json";
export type LogOutput = {
  /** One line or several, each with its newline. */
  write(lines: string): void;
  /** Where lines may be lost: tells how many were, once lines can be written again. */
  onLost?(listener: (lines: number) => void): void;
};

export type ScopedLogger = {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** To skip building costly fields. */
  enabled(level: LogLevel): boolean;
};

export type Logger = {
  scope(name: string): ScopedLogger;
  /** Lines that another thread has rendered. */
  lines(text: string): void;
  /** The levels in force, as setLevels reads them. */
  levels(): string;
  /** "info" or "scope=debug,…"; what is not named keeps its level. */
  setLevels(text: string): Result<Levels>;
  resetLevels(): void;
};

export type LoggerOptions = { readonly format: LogFormat; readonly level?: string; readonly out: LogOutput; readonly now?: () => number };

/** Standard output: batched, bounded, and never waited for (output.ts); `flushSync` before exit. */
export const standardOutput = (): BatchedOutput => batchedOutput({ fd: 1 });

const microsNow = (): number => (performance.timeOrigin + performance.now()) * 1000;

/** A logger; an unreadable `level` throws, so give it one that the configuration has parsed. */
export const createLogger = (options: LoggerOptions): Logger => {
  const first = parseLevels(options.level ?? "info");
  if (!first.ok) throw new Error(first.error);
  const now = options.now ?? microsNow;
  const render = options.format === "json" ? jsonLine : textLine;
  const timestamp = createTimestamps();
  let levels = first.value;
  const write = (scope: string, level: LogLevel, message: string, fields: LogFields | undefined): void => {
    if (!enabled(levels, scope, level)) return;
    options.out.write(render({ time: timestamp(now()), level, scope, message, fields: fields ?? {} }));
  };
  options.out.onLost?.((lines) => write("log", "warn", "log lines were lost: they could not be written as fast as they came", { lines }));
  return {
    scope: (name) => ({
      debug: (message, fields) => write(name, "debug", message, fields),
      info: (message, fields) => write(name, "info", message, fields),
      warn: (message, fields) => write(name, "warn", message, fields),
      error: (message, fields) => write(name, "error", message, fields),
      enabled: (level) => enabled(levels, name, level),
    }),
    lines: (text) => options.out.write(text),
    levels: () => formatLevels(levels),
    setLevels: (text) => {
      const next = parseLevels(text, levels);
      if (next.ok) levels = next.value;
      return next;
    },
    resetLevels: () => {
      levels = first.value;
    },
  };
};
