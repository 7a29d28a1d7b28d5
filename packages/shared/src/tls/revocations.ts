// May we go on speaking with a peer, now that the revocation lists are these?

import { MeshError } from "../errors/mesh-error.ts";
import { mapOk, ok, type Result } from "../runtime/result.ts";
import { parseCrls, type RevocationList } from "./crl.ts";
import { type PeerChain, revocationIndex, revocationOf } from "./revocation.ts";

/** Asked of every peer after the handshake, and again of every live connection when `onChange` tells. */
export type PeerCheck = {
  /** Why the peer must not be spoken with (CERT_REVOKED); undefined: nothing is held against it. */
  refuse(chain: PeerChain): MeshError | undefined;
  /** Calls the listener after the lists have changed; returns the unsubscribe. */
  onChange(listener: () => void): () => void;
};

export type Reporter = "source" | "destination";

/** What is counted. */
export type RevocationEvents = {
  /** A peer was refused, or a live connection cut. */
  rejected(reporter: Reporter): void;
  /** A chain that cannot be read: the handshake has accepted it, and no list can speak of it. */
  untracked(reporter: Reporter): void;
};

export type Revocations = {
  /** Replaces the lists by those of the file; one that cannot be read changes nothing. The number of lists. */
  load(file: Uint8Array): Result<readonly RevocationList[]>;
  check(reporter: Reporter): PeerCheck;
};

const who = (depth: number): string => (depth === 0 ? "certificate" : "certificate's issuer");

/** Without lists nobody is refused. */
export const createRevocations = (events: RevocationEvents): Revocations => {
  let index = revocationIndex([]);
  const listeners = new Set<() => void>();
  return {
    load: (file) =>
      mapOk(parseCrls(file), (lists) => {
        index = revocationIndex(lists);
        for (const listener of [...listeners]) listener();
        return lists;
      }),
    check: (reporter) => ({
      refuse: (chain) => {
        const revocation = index.size === 0 && chain.length > 0 ? ok(undefined) : revocationOf(chain, index);
        if (!revocation.ok) events.untracked(reporter);
        if (!revocation.ok || revocation.value === undefined) return undefined;
        events.rejected(reporter);
        const { depth, serial } = revocation.value;
        return new MeshError("CERT_REVOKED", `the peer's ${who(depth)} has been revoked (serial number ${serial})`);
      },
      onChange: (listener) => {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    }),
  };
};
