// How do log lines get from a data thread to the one writer of the process? (many lines in one message)

import type { LogOutput } from "./log.ts";

/** A message is not made larger than this by adding a line to it. */
const MOST = 32_768;

/** So long a line waits for others: a message of its own for each would cost more than writing it. */
const HOLD_MS = 20;

/** Collects lines for a moment and hands them on together, whole and in order. */
export const createLineBuffer = (post: (lines: string) => void): LogOutput & { flush(): void } => {
  let text = "";
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (text === "") return;
    const lines = text;
    text = "";
    post(lines);
  };
  return {
    write: (line) => {
      text += line;
      if (text.length >= MOST) flush();
      else timer ??= setTimeout(flush, HOLD_MS);
    },
    flush,
  };
};
