// With which certificate does the controller itself answer, and when is it renewed?

import type { ServingCert } from "@ambit/shared/grpc/serve.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { type CertificateAuthority, createKey, issueLeaf } from "@ambit/shared/tls/issue.ts";

const LIFETIME_MS = 90 * 24 * 3_600_000;
const BACKDATE_MS = 120_000;

/** The names under which proxies dial the controller. */
export const servingNames = (where: {
  readonly service: string;
  readonly namespace: string;
  readonly clusterDomain: string;
}): readonly string[] => {
  const { service, namespace, clusterDomain } = where;
  return [`${service}.${namespace}.svc`, `${service}.${namespace}.svc.${clusterDomain}`, `${service}.${namespace}`, service, "localhost"];
};

export type ServingCertificate = {
  current(): ServingCert;
  onRenew(listener: () => void): () => void;
  /** Renews at half of the lifetime until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
};

export const createServingCertificate = (root: CertificateAuthority, names: readonly string[], world: World): ServingCertificate => {
  const issue = (): ServingCert => {
    const { keyPem, publicKey } = createKey();
    const now = world.now();
    const leaf = issueLeaf(root, { publicKey, uris: [], dnsNames: names, notBefore: now - BACKDATE_MS, notAfter: now + LIFETIME_MS });
    return { certPem: leaf, keyPem };
  };
  const listeners = new Set<() => void>();
  let cert = issue();
  return {
    current: () => cert,
    onRenew: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    run: async (signal) => {
      // Timers hold at most 24.8 days: look once a day.
      let renewAt = world.now() + LIFETIME_MS / 2;
      while (!signal.aborted) {
        await world.sleep(24 * 3_600_000, signal).catch((cause: unknown) => {
          if (!signal.aborted) throw cause;
        });
        if (signal.aborted || world.now() < renewAt) continue;
        cert = issue();
        renewAt = world.now() + LIFETIME_MS / 2;
        for (const listener of listeners) listener();
      }
    },
  };
};
