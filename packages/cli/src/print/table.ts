// How do rows look on a terminal? (as kubectl and istioctl print them: columns by three spaces, no frame)

import Table from "cli-table3";

const BARE = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: "   ",
};

/** A header and rows as aligned columns, without trailing blanks, ending with a newline. */
export const table = (header: readonly string[], rows: readonly (readonly string[])[]): string => {
  const t = new Table({ chars: BARE, style: { "padding-left": 0, "padding-right": 0, head: [], border: [], compact: true } });
  t.push([...header], ...rows.map((r) => [...r]));
  return `${t
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n")}\n`;
};
