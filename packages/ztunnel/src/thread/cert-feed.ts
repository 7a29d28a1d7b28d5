// Which data thread is sent which certificate? (those it asked for, and their renewals)

import type { CertStore, IssuedCert, WorkloadCert } from "@ambit/shared/ca/types.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import type { FromThread, ToThread } from "./messages.ts";

type Message = Extract<ToThread, { kind: "certificate" | "no-certificate" }>;

export type CertFeed = {
  on(thread: number, message: Extract<FromThread, { kind: "want" | "forget" }>): void;
  /** The thread has ended, and with it what it held. */
  gone(thread: number): void;
  close(): void;
};

/** In the form in which the CA answered: the thread checks it again and builds its own contexts. */
const issuedOf = (cert: WorkloadCert): IssuedCert => ({ keyPem: cert.keyPem, certChain: [...cert.chainPem, cert.rootsPem.join("")] });

const message = (cert: WorkloadCert): Message => ({ kind: "certificate", identity: cert.identity, issued: issuedOf(cert) });

export const createCertFeed = (
  certs: Pick<CertStore, "get" | "peek" | "onRenew">,
  send: (thread: number, message: Message) => void,
): CertFeed => {
  const holders = new Map<string, Set<number>>();
  const holds = (thread: number, identity: SpiffeId): boolean => holders.get(identity.uri)?.has(thread) === true;
  const drop = (thread: number, uri: string): void => {
    const threads = holders.get(uri);
    threads?.delete(thread);
    if (threads?.size === 0) holders.delete(uri);
  };

  /** A certificate that comes is sent to all its holders by onRenew; here only its failure is told. */
  const fetch = (thread: number, identity: SpiffeId): void => {
    certs.get(identity).catch((e: unknown) => {
      const error = e instanceof Error ? e.message : String(e);
      if (holds(thread, identity)) send(thread, { kind: "no-certificate", identity, error });
    });
  };

  const off = certs.onRenew((cert) => {
    for (const thread of holders.get(cert.identity.uri) ?? []) send(thread, message(cert));
  });

  return {
    on: (thread, { kind, identity, ...rest }) => {
      if (kind === "forget") return drop(thread, identity.uri);
      const threads = holders.get(identity.uri) ?? new Set();
      holders.set(identity.uri, threads.add(thread));
      const held = certs.peek(identity);
      if (held !== undefined) send(thread, message(held));
      else if ("urgent" in rest && rest.urgent) fetch(thread, identity);
    },
    gone: (thread) => {
      for (const uri of [...holders.keys()]) drop(thread, uri);
    },
    close: off,
  };
};
