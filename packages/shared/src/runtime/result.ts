// What is a success or a failure as a value? (for parsing at the edges; I/O failures throw)

export type Ok<T> = { readonly ok: true; readonly value: T };
export type Err<E = string> = { readonly ok: false; readonly error: E };
export type Result<T, E = string> = Ok<T> | Err<E>;

export const ok = <T>(value: T): Ok<T> => ({ ok: true, value });
export const err = <E>(error: E): Err<E> => ({ ok: false, error });

/** All values, or the first error. Nothing is dropped: one bad entry fails the whole list. */
export const all = <T, E>(results: Iterable<Result<T, E>>): Result<T[], E> => {
  const values: T[] = [];
  for (const r of results) {
    if (!r.ok) return r;
    values.push(r.value);
  }
  return ok(values);
};

type Values<R extends Record<string, Result<unknown>>> = { -readonly [K in keyof R]: R[K] extends Result<infer T> ? T : never };

/** A record of results to a result of a record; every error is reported, joined by "; ". */
export const allOf = <R extends Record<string, Result<unknown>>>(fields: R): Result<Values<R>> => {
  const errors = Object.values(fields).flatMap((r) => (r.ok ? [] : [r.error]));
  if (errors.length > 0) return err(errors.join("; "));
  return ok(Object.fromEntries(Object.entries(fields).map(([k, r]) => [k, r.ok ? r.value : undefined])) as Values<R>);
};

/** Applies f to the value of a success. */
export const mapOk = <T, U, E>(r: Result<T, E>, f: (value: T) => U): Result<U, E> => (r.ok ? ok(f(r.value)) : r);

/** The value, or a thrown Error: for places where a failure is a bug in Ambit itself. */
export const unwrap = <T>(r: Result<T>): T => {
  if (!r.ok) throw new Error(r.error);
  return r.value;
};
