// Whose is an instance, and is that owner still alive?

export type Owner = {
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat: a reused pid has another. */
  readonly startTime: string;
  readonly dataDir: string;
};

export const ownerText = (o: Owner): string => `${JSON.stringify(o)}\n`;

/** Undefined for text that is no registration (a write cut short by a crash): then nobody owns it. */
export const parseOwner = (text: string): Owner | undefined => {
  let v: unknown;
  try {
    v = JSON.parse(text);
  } catch {
    return undefined; // cut short: see above
  }
  if (typeof v !== "object" || v === null) return undefined;
  const { pid, startTime, dataDir } = v as Record<string, unknown>;
  return typeof pid === "number" && typeof startTime === "string" && typeof dataDir === "string" ? { pid, startTime, dataDir } : undefined;
};

/** Field 22 of a /proc/<pid>/stat text. The command in parentheses may hold spaces and parentheses itself. */
export const startTimeOf = (stat: string): string | undefined => stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];

/** `stat` is the text of /proc/<pid>/stat now; undefined when there is no such process. A zombie is dead. */
export const isAlive = (owner: Owner, stat: string | undefined): boolean => {
  if (stat === undefined) return false;
  const state = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[0];
  return startTimeOf(stat) === owner.startTime && state !== "Z" && state !== "X";
};
