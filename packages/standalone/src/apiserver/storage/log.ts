// How do writes become durable, and how is everything read back? (the only file that speaks SQL)

import { chmodSync, closeSync, openSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { APPLICATION_ID, MIGRATIONS } from "./migrations.ts";

export type ChangeType = "ADDED" | "MODIFIED" | "DELETED";

export type LogEntry = {
  readonly rv: number;
  readonly bucket: string;
  readonly key: string;
  readonly type: ChangeType;
  /** The object after the change; for DELETED its last state with the deletion's resourceVersion. */
  readonly json: string;
  readonly prev: string | undefined;
};

export type Loaded = {
  readonly objects: readonly { readonly bucket: string; readonly key: string; readonly json: string }[];
  /** Every change after `floor`, oldest first. */
  readonly changes: readonly LogEntry[];
  readonly floor: number;
};

export type DurableLog = {
  load(): Loaded;
  /** One transaction: when this returns, the entries survive a crash of the process and of the machine; when it throws, none was written. */
  append(entries: readonly LogEntry[], floor: number): void;
  close(): void;
};

/** The database cannot be opened or written; the message is one sentence for a person. */
export class StorageError extends Error {}

const SQLITE_BUSY = 5;
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

const sentence = (path: string, e: unknown): string => {
  const code = e instanceof Error && "errcode" in e && typeof e.errcode === "number" ? e.errcode & 0xff : undefined;
  switch (code) {
    case SQLITE_BUSY:
      return `the database ${path} is in use by another process: is this data directory's API server already running?`;
    case SQLITE_READONLY:
      return `the database ${path} cannot be written: it or its directory is read-only`;
    case SQLITE_FULL:
      return `the database ${path} cannot be written: the disk is full`;
    case SQLITE_CANTOPEN:
      return `the database ${path} cannot be opened: its directory is missing or not writable`;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      return `the database ${path} is damaged or no database: restore it from a copy, or move it away to start empty`;
    case SQLITE_IOERR:
      return `the database ${path} cannot be read or written: the disk reports an error`;
    default:
      return `the database ${path}: ${e instanceof Error ? e.message : String(e)}`;
  }
};

const guarded = <T>(path: string, f: () => T): T => {
  try {
    return f();
  } catch (e) {
    throw e instanceof StorageError ? e : new StorageError(sentence(path, e), { cause: e });
  }
};

const pragma = (db: DatabaseSync, name: string): unknown => Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0];

const inTransaction = (db: DatabaseSync, f: () => void): void => {
  db.exec("BEGIN IMMEDIATE");
  try {
    f();
    db.exec("COMMIT");
  } catch (e) {
    // SQLite has rolled back by itself after some errors (a full disk); asking again would hide the first error.
    if (db.isTransaction) db.exec("ROLLBACK");
    throw e;
  }
};

const migrate = (db: DatabaseSync, path: string): void => {
  const version = Number(pragma(db, "user_version"));
  const application = Number(pragma(db, "application_id"));
  if (version > MIGRATIONS.length)
    throw new StorageError(
      `the database ${path} has schema version ${version}, made by a newer Ambit; this one knows versions up to ${MIGRATIONS.length}`,
    );
  const tables = Number(db.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.n);
  if (application !== APPLICATION_ID && (version !== 0 || tables !== 0))
    throw new StorageError(`the database ${path} belongs to another program: it does not carry Ambit's mark`);
  inTransaction(db, () => {
    db.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
    for (const step of MIGRATIONS.slice(version)) db.exec(step);
    db.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
  });
};

const text = (v: unknown): string => {
  if (typeof v !== "string") throw new StorageError(`the database holds ${typeof v} where text is expected: it is damaged`);
  return v;
};

const changeType = (v: unknown): ChangeType => {
  if (v === "ADDED" || v === "MODIFIED" || v === "DELETED") return v;
  throw new StorageError(`the database holds a change of type ${String(v)}: it is damaged`);
};

/** Secrets are in the file: it is its owner's only, and SQLite makes the files beside it likewise. */
const keepPrivate = (path: string): void => {
  try {
    closeSync(openSync(path, "a", 0o600));
    chmodSync(path, 0o600);
  } catch (e) {
    throw new StorageError(`the database ${path} cannot be opened: its directory is missing or not writable`, { cause: e });
  }
};

/** Opens (making or migrating) the database. Throws StorageError with one sentence when it cannot be used. */
export const openLog = (path: string): DurableLog => {
  keepPrivate(path);
  const db = guarded(path, () => new DatabaseSync(path));
  const prepared = new Map<string, StatementSync>();
  const sql = (statement: string): StatementSync => {
    const have = prepared.get(statement);
    if (have !== undefined) return have;
    const made = db.prepare(statement);
    prepared.set(statement, made);
    return made;
  };
  try {
    guarded(path, () => {
      // One process owns the file for as long as it runs; WAL with FULL syncs the log at every commit.
      db.exec(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 16777216",
      );
      const check = pragma(db, "quick_check(1)");
      if (check !== "ok") throw new StorageError(`the database ${path} is damaged: ${String(check)}`);
      migrate(db, path);
    });
  } catch (e) {
    db.close();
    throw e;
  }

  const write = (e: LogEntry): void => {
    if (e.type === "DELETED") sql("DELETE FROM objects WHERE bucket = ? AND key = ?").run(e.bucket, e.key);
    else sql("INSERT OR REPLACE INTO objects (bucket, key, json) VALUES (?, ?, ?)").run(e.bucket, e.key, e.json);
    sql("INSERT INTO changes (rv, bucket, key, type, json, prev) VALUES (?, ?, ?, ?, ?, ?)").run(
      e.rv,
      e.bucket,
      e.key,
      e.type,
      e.json,
      e.prev ?? null,
    );
  };
  let floor = 0;
  return {
    load: () =>
      guarded(path, () => {
        floor = Number(sql("SELECT value FROM numbers WHERE name = 'floor'").get()?.value);
        return {
          floor,
          objects: sql("SELECT bucket, key, json FROM objects ORDER BY bucket, key")
            .all()
            .map((r) => ({ bucket: text(r.bucket), key: text(r.key), json: text(r.json) })),
          changes: sql("SELECT rv, bucket, key, type, json, prev FROM changes ORDER BY rv")
            .all()
            .map((r) => ({
              rv: Number(r.rv),
              bucket: text(r.bucket),
              key: text(r.key),
              type: changeType(r.type),
              json: text(r.json),
              prev: r.prev === null ? undefined : text(r.prev),
            })),
        };
      }),
    append: (entries, wanted) =>
      guarded(path, () => {
        inTransaction(db, () => {
          for (const e of entries) write(e);
          if (wanted <= floor) return;
          sql("DELETE FROM changes WHERE rv <= ?").run(wanted);
          sql("UPDATE numbers SET value = ? WHERE name = 'floor'").run(wanted);
        });
        floor = Math.max(floor, wanted);
      }),
    close: () => db.close(),
  };
};
