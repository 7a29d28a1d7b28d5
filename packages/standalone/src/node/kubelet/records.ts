// Where does the kubelet keep what it must know after its own restart?

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PodRecord } from "../pod/record.ts";

export type RecordStore = {
  load(): readonly PodRecord[];
  save(record: PodRecord): void;
  forget(uid: string): void;
  /** The pod's own directory. */
  dir(uid: string): string;
};

/** One JSON file a pod below `base`, replaced whole. A file that cannot be read is an error: pods must not be lost in silence. */
export const createRecordStore = (base: string): RecordStore => {
  const dir = (uid: string): string => join(base, uid);
  return {
    dir,
    load: () => {
      mkdirSync(base, { recursive: true, mode: 0o711 });
      return readdirSync(base).flatMap((uid) => {
        const path = join(dir(uid), "record.json");
        try {
          return [JSON.parse(readFileSync(path, "utf8")) as PodRecord];
        } catch (e) {
          if (e instanceof Error && "code" in e && e.code === "ENOENT") return [];
          throw new Error(`cannot read ${path}: ${e instanceof Error ? e.message : String(e)}`, { cause: e });
        }
      });
    },
    save: (record) => {
      mkdirSync(dir(record.uid), { recursive: true, mode: 0o711 });
      const path = join(dir(record.uid), "record.json");
      writeFileSync(`${path}.new`, JSON.stringify(record));
      renameSync(`${path}.new`, path);
    },
    forget: (uid) => rmSync(dir(uid), { recursive: true, force: true }),
  };
};
