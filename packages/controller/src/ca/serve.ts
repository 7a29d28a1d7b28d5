// With which certificate does the controller itself answer, and when is it renewed?

import type { ServingCert } from "@ambit/shared/grpc/serve.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { createKey, issueLeaf } from "@ambit/shared/tls/issue.ts";
import type { TlsPolicy } from "@ambit/shared/tls/policy.ts";
import type { Authority } from "./authority.ts";

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
  readonly policy?: TlsPolicy;
  onRenew(listener: () => void): () => void;
  /** Renews at half of the lifetime, and when the authority changes, until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
};

export type ServingSources = {
  readonly authority: () => Authority;
  /** Calls the listener when the authority is another one. */
  readonly onChange: (listener: () => void) => () => void;
  readonly names: readonly string[];
  readonly policy?: TlsPolicy;
};

export const createServingCertificate = (sources: ServingSources, world: World): ServingCertificate => {
  const { names, policy } = sources;
  let renewAt = 0;
  const issue = (): ServingCert => {
    const { keyPem, publicKey } = createKey();
    const { signer, chainPem, notAfter: end } = sources.authority();
    const now = world.now();
    const notAfter = Math.min(now + LIFETIME_MS, end);
    renewAt = now + (notAfter - now) / 2;
    const leaf = issueLeaf(signer, { publicKey, uris: [], dnsNames: names, notBefore: now - BACKDATE_MS, notAfter });
    return { certPem: [leaf, ...chainPem].join(""), keyPem };
  };
  const listeners = new Set<() => void>();
  let cert = issue();
  const renew = (): void => {
    cert = issue();
    for (const listener of listeners) listener();
  };
  return {
    current: () => cert,
    ...(policy === undefined ? {} : { policy }),
    onRenew: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    run: async (signal) => {
      // A new signer: whoever will trust only the new root must be able to reach us already now.
      const off = sources.onChange(renew);
      while (!signal.aborted) {
        // Timers hold at most 24.8 days: look once a day, sooner for a CA that ends sooner.
        await world.sleep(Math.min(24 * 3_600_000, Math.max(1_000, renewAt - world.now())), signal).catch((cause: unknown) => {
          if (!signal.aborted) throw cause;
        });
        if (signal.aborted || world.now() < renewAt) continue;
        renew();
      }
      off();
    },
  };
};
