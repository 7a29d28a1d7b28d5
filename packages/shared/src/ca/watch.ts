// Which revocation lists are in force, as their file changes? (CRL_PATH)

import { X509Certificate } from "node:crypto";
import type { World } from "../runtime/world.ts";
import { watchFile } from "../tls/watch.ts";
import { readRevocationLists } from "./revocation-lists.ts";
import type { CertState } from "./types.ts";

export type FollowListsOptions = {
  readonly path: string;
  readonly world: World;
  readonly log: (event: string, fields: object) => void;
  /** Gets every good file, whole: `createRevocations().load` reads it. */
  readonly onLists: (file: Uint8Array) => void;
  /** What we hold: the CAs whose lists can be checked when they are read. */
  readonly certificates: () => readonly CertState[];
  readonly debounceMs?: number;
};

const authorities = (states: readonly CertState[]): X509Certificate[] => {
  const pems = new Set(states.flatMap(({ cert }) => (cert === undefined ? [] : [...cert.chainPem.slice(1), ...cert.rootsPem])));
  return [...pems].map((pem) => new X509Certificate(pem));
};

/**
 * Reads the file before it resolves, then follows it until the signal aborts; `done` resolves when that has ended. A file that is broken,
 * or goes away, leaves the last good one in force, and the log says so.
 */
export const followRevocationLists = async (
  options: FollowListsOptions,
  signal: AbortSignal,
): Promise<{ readonly done: Promise<void> }> => {
  const { path, world, log, onLists } = options;
  let loaded = false;
  const kept = (): string => (loaded ? "the last good lists stay in force" : "no certificate is revoked until it can be read");
  const onContent = (content: Buffer | undefined): void => {
    if (content === undefined) {
      log(loaded ? "revocation lists lost" : "no revocation lists yet", { path, result: kept() });
      return;
    }
    const read = readRevocationLists(content, authorities(options.certificates()), world.now());
    if (!read.ok) {
      log("revocation lists refused", { path, error: read.error, result: kept() });
      return;
    }
    for (const remark of read.value.remarks) log("revocation lists cannot be current", { path, remark });
    onLists(content);
    loaded = true;
    const revoked = read.value.lists.reduce((n, l) => n + l.revoked.size, 0);
    log("revocation lists loaded", { path, lists: read.value.lists.length, revoked });
  };
  const onError = (error: string): void => log("revocation lists cannot be read", { path, error, result: kept() });
  const { debounceMs } = options;
  return watchFile({ path, world, onContent, onError, ...(debounceMs === undefined ? {} : { debounceMs }) }, signal);
};
