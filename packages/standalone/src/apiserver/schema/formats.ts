// Does a value have the format that its schema names? (the formats that Kubernetes enforces; others are not checked)

import { isIP, isIPv4, isIPv6 } from "node:net";

const MAX_INT32 = 2 ** 31;
const cidr = (text: string): boolean => {
  const [address = "", length = "", ...more] = text.split("/");
  const bits = isIPv4(address) ? 32 : 128;
  return more.length === 0 && isIP(address) !== 0 && /^\d{1,3}$/.test(length) && Number(length) <= bits;
};

const STRINGS: { readonly [format: string]: (text: string) => boolean } = {
  byte: (text) => text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text),
  date: (text) => /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text)),
  "date-time": (text) =>
    /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/.test(text) && !Number.isNaN(Date.parse(text)),
  duration: (text) => /^[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))*$/.test(text) || text === "0",
  email: (text) => /^[^\s@]+@[^\s@]+$/.test(text),
  hostname: (text) =>
    text.length <= 253 && /^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*$/.test(text),
  ipv4: (text) => isIPv4(text),
  ipv6: (text) => isIPv6(text),
  cidr,
  uri: (text) => URL.canParse(text),
  uuid: (text) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i.test(text),
  quantity: (text) => /^[+-]?(\d+(\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?$/.test(text),
};

/** False only when the format is known and the value breaks it. */
export const hasFormat = (format: string, value: unknown): boolean => {
  if (typeof value === "number") return format !== "int32" || (value >= -MAX_INT32 && value < MAX_INT32);
  return typeof value === "string" ? (STRINGS[format]?.(value) ?? true) : true;
};
