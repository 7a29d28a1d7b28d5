// Short table, JSON or YAML?

import { stringify } from "yaml";
import { UserError } from "../client/mesh.ts";

export type Format = "short" | "json" | "yaml";

export const parseFormat = (text: string): Format => {
  if (text === "short" || text === "json" || text === "yaml") return text;
  throw new UserError(`unknown output format ${JSON.stringify(text)}: want short, json or yaml`);
};

/** The data as JSON or YAML, or what `short` makes of it. */
export const formatted = <T>(format: Format, data: T, short: (data: T) => string): string => {
  if (format === "json") return `${JSON.stringify(data, null, 2)}\n`;
  return format === "yaml" ? stringify(data) : short(data);
};
