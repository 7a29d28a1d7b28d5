// How do log lines get from a data thread to the one writer of the process? (many lines in one message)

import type { LogOutput } from "./log.ts";

/** A message is not made larger than this by adding a line to it. */
const MOST = 32_768;

/** Collects the lines of one turn of the loop and hands them on together, whole and in order. */
export const createLineBuffer = (post: (lines: string) => void): LogOutput & { flush(): void } => {
  let text = "";
  let scheduled = false;
  const flush = (): void => {
    scheduled = false;
    if (text === "") return;
    const lines = text;
    text = "";
    post(lines);
  };
  return {
    write: (line) => {
      text += line;
      if (text.length >= MOST) flush();
      else if (!scheduled) {
        scheduled = true;
        setImmediate(flush);
      }
    },
    flush,
  };
};
