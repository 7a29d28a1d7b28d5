// Which identities' certificates are kept: those that a pod of this node has, and no others?

import type { CertStore } from "@ambit/shared/ca/types.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";

export type Identities = {
  /** Fetches and renews until every hold of the identity is disposed. */
  hold(id: SpiffeId): Disposable;
};

export const createIdentities = (certs: Pick<CertStore, "warm" | "forget">): Identities => {
  const holders = new Map<string, number>();
  return {
    hold: (id) => {
      const before = holders.get(id.uri) ?? 0;
      holders.set(id.uri, before + 1);
      if (before === 0) certs.warm(id);
      let held = true;
      return {
        [Symbol.dispose]: () => {
          if (!held) return;
          held = false;
          const left = (holders.get(id.uri) ?? 1) - 1;
          if (left > 0) holders.set(id.uri, left);
          else {
            holders.delete(id.uri);
            certs.forget(id);
          }
        },
      };
    },
  };
};
