// Which schema versions has the database had, and how does one become the next?

/** Marks the file as ours ("AmbK"), so that another program's database is never written to. */
export const APPLICATION_ID = 0x416d_624b;

/**
 * Step i takes the schema from version i to i + 1; `PRAGMA user_version` holds the version reached.
 * A step that was released is never edited: a change is a new step at the end.
 */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE objects (
     bucket TEXT NOT NULL,
     key TEXT NOT NULL,
     json TEXT NOT NULL,
     PRIMARY KEY (bucket, key)
   ) WITHOUT ROWID;
   CREATE TABLE changes (
     rv INTEGER PRIMARY KEY,
     bucket TEXT NOT NULL,
     key TEXT NOT NULL,
     type TEXT NOT NULL CHECK (type IN ('ADDED', 'MODIFIED', 'DELETED')),
     json TEXT NOT NULL,
     prev TEXT
   );
   CREATE TABLE numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
   INSERT INTO numbers (name, value) VALUES ('floor', 1);`,
];
