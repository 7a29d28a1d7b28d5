// How are the parts that several messages share read: enums, ports, addresses, names?

import { type Cidr, cidrOf } from "../addr/cidr.ts";
import { type Ip, ipFromBytes } from "../addr/ip.ts";
import { all, err, ok, type Result } from "../runtime/result.ts";

/** The result with the field's name before its error. */
export const at = <T>(field: string, r: Result<T>): Result<T> => (r.ok ? r : err(`${field}: ${r.error}`));

/** Every element read, or the first error with its place in the list. */
export const each = <A, B>(field: string, values: readonly A[], read: (value: A) => Result<B>): Result<B[]> =>
  all(values.map((v, i) => at(`${field}[${i}]`, read(v))));

export type Names<T extends string> = { read(field: string, n: number): Result<T>; write(name: T): number };

/** An enum whose values are numbered from 0 in the given order. A number without a name is an error. */
export const names = <const T extends string>(...table: readonly T[]): Names<T> => ({
  read: (field, n) => {
    const name = table[n];
    return name === undefined ? err(`${field}: ${n} is not a known value (${table.join(", ")})`) : ok(name);
  },
  write: (name) => table.indexOf(name),
});

export const readPort = (field: string, n: number): Result<number> => (n <= 65535 ? ok(n) : err(`${field}: ${n} is not a port`));

export const readIp = (bytes: Uint8Array): Result<Ip> => ipFromBytes(bytes);

/** An address with a prefix length; longer than the address is wide is an error. */
export const readCidr = (bytes: Uint8Array, length: number): Result<Cidr> => {
  const ip = ipFromBytes(bytes);
  // The width is that of the bytes sent: a v4-mapped block of 16 bytes must not have its length taken for one of 4.
  if (ip.ok && bytes.length === 16 && !ip.value.includes(":")) {
    return length >= 96
      ? cidrOf(ip.value, length - 96)
      : err(`${ip.value} as 16 bytes with prefix length ${length}: it must be at least 96`);
  }
  return ip.ok ? cidrOf(ip.value, length) : ip;
};

export const readName = (field: string, s: string): Result<string> => (s === "" ? err(`${field} is empty`) : ok(s));

/** The one field of a oneof that is set, by name; none is an error that says which there are. */
export const oneofCase = <K extends string>(field: string, message: Partial<Record<K, unknown>>, cases: readonly K[]): Result<K> => {
  const set = cases.filter((c) => Object.hasOwn(message, c) && message[c] !== null && message[c] !== undefined);
  const [first] = set;
  if (first === undefined) return err(`${field} is empty: want one of ${cases.join(", ")}`);
  return set.length === 1 ? ok(first) : err(`${field} has ${set.join(" and ")}: want only one`);
};
