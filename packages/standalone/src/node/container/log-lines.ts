// How do a container's bytes become lines of a CRI log file, and such lines text again?

export type Stream = "stdout" | "stderr";

/** A line longer than this is cut into parts tagged P, as container runtimes do. */
const MAX_LINE = 16 * 1024;

export type LineSplitter = {
  /** The CRI lines that the bytes complete, at the time given (RFC 3339 with nanoseconds). */
  push(bytes: Buffer, time: string): Buffer;
  /** What is left when the stream ends. */
  end(time: string): Buffer;
};

/** One stream's bytes to CRI lines: `<time> <stream> <F|P> <text>`. Bytes pass as they are: a character cut in two is joined again in the file's line. */
export const createLineSplitter = (stream: Stream): LineSplitter => {
  let rest = Buffer.alloc(0);
  const line = (text: Buffer, full: boolean, time: string): readonly Buffer[] => [
    Buffer.from(`${time} ${stream} ${full ? "F" : "P"} `),
    text,
    NEWLINE,
  ];
  return {
    push: (bytes, time) => {
      const data = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
      const out: Buffer[] = [];
      let at = 0;
      for (let end = data.indexOf(10, at); end >= 0; end = data.indexOf(10, at)) {
        for (; end - at > MAX_LINE; at += MAX_LINE) out.push(...line(data.subarray(at, at + MAX_LINE), false, time));
        out.push(...line(data.subarray(at, end), true, time));
        at = end + 1;
      }
      for (; data.length - at > MAX_LINE; at += MAX_LINE) out.push(...line(data.subarray(at, at + MAX_LINE), false, time));
      rest = Buffer.from(data.subarray(at));
      return Buffer.concat(out);
    },
    end: (time) => {
      const out = rest.length === 0 ? [] : line(rest, true, time);
      rest = Buffer.alloc(0);
      return Buffer.concat(out);
    },
  };
};

const NEWLINE = Buffer.from("\n");

export type LogLine = { readonly time: string; readonly stream: Stream; readonly full: boolean; readonly text: string };

/** One line of a CRI log file (without its newline); undefined when it is none (a file cut short by a crash). */
export const parseLogLine = (line: string): LogLine | undefined => {
  const m = /^(\S+) (stdout|stderr) ([FP])(?: (.*))?$/s.exec(line);
  if (m === null) return undefined;
  return { time: m[1] ?? "", stream: m[2] === "stderr" ? "stderr" : "stdout", full: m[3] === "F", text: m[4] ?? "" };
};

export type LogSelection = {
  readonly tailLines?: number;
  readonly sinceTime?: string;
  readonly timestamps: boolean;
  readonly limitBytes?: number;
};

/** One line as the API answers it. */
export const renderLogLine = (line: LogLine, timestamps: boolean): string =>
  `${timestamps ? `${line.time} ` : ""}${line.text}${line.full ? "\n" : ""}`;

/** The lines that were asked for, in order: those after sinceTime, of these the last tailLines. */
export const selectLines = (lines: readonly LogLine[], s: Pick<LogSelection, "tailLines" | "sinceTime">): readonly LogLine[] => {
  const since = s.sinceTime === undefined ? undefined : Date.parse(s.sinceTime);
  const recent = since === undefined ? lines : lines.filter((l) => Date.parse(l.time) >= since);
  if (s.tailLines === undefined) return recent;
  // A line cut into parts counts once: parts belong to the full line that ends them.
  let wanted = s.tailLines;
  let at = recent.length;
  while (at > 0) {
    if (recent[at - 1]?.full === true && wanted-- === 0) break;
    at -= 1;
  }
  return s.tailLines === 0 ? [] : recent.slice(at);
};
