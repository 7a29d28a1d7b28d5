// How do metrics read as text? (Prometheus text format 0.0.4 and OpenMetrics 1.0.0)

export type TextFormat = "prometheus" | "openmetrics";
export type MetricType = "counter" | "gauge" | "histogram";
export type Described = { readonly name: string; readonly help: string; readonly type: MetricType };

export const CONTENT_TYPES: Readonly<Record<TextFormat, string>> = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/** OpenMetrics when the Accept header asks for it. */
export const formatFor = (accept: string | undefined): TextFormat =>
  accept?.includes("application/openmetrics-text") === true ? "openmetrics" : "prometheus";

const ESCAPED = /[\\"\n]/g;
const escapeValue = (s: string): string => s.replace(ESCAPED, (c) => (c === "\n" ? "\\n" : `\\${c}`));
const escapeHelp = (s: string): string => s.replace(/[\\\n]/g, (c) => (c === "\n" ? "\\n" : "\\\\"));

/** `a="1",b="2"` in the order of the names; a value that is not there is empty. */
export const labelText = (names: readonly string[], values: Readonly<Record<string, string>>): string => {
  let text = "";
  for (const name of names) text += `${text === "" ? "" : ","}${name}="${escapeValue(values[name] ?? "")}"`;
  return text;
};

export const numberText = (n: number): string => {
  if (n === Number.POSITIVE_INFINITY) return "+Inf";
  return n === Number.NEGATIVE_INFINITY ? "-Inf" : String(n); // NaN is "NaN" there too
};

/** The bound of a bucket; OpenMetrics wants a float. */
export const boundText = (format: TextFormat, bound: number): string =>
  format === "openmetrics" && Number.isInteger(bound) ? `${bound}.0` : numberText(bound);

/** The family's two comment lines. OpenMetrics names a counter's family without `_total`, its samples with it. */
export const headText = (format: TextFormat, { name, help, type }: Described): string => {
  const family = format === "openmetrics" && type === "counter" ? name.replace(/_total$/, "") : name;
  return `# HELP ${family} ${escapeHelp(help)}\n# TYPE ${family} ${type}\n`;
};

/** One sample's line; `labels` is made by `labelText`. */
export const sampleText = (name: string, labels: string, value: number): string =>
  labels === "" ? `${name} ${numberText(value)}\n` : `${name}{${labels}} ${numberText(value)}\n`;

/** What comes after the last family. */
export const endText = (format: TextFormat): string => (format === "openmetrics" ? "# EOF\n" : "");
