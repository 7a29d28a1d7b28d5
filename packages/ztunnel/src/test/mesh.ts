// A control plane and a CNI agent for tests: state, certificates and pods given by hand, over the real wire forms.

import { once } from "node:events";
import { join } from "node:path";
import type { Policy } from "@ambit/shared/authz/types.ts";
import type { IssuedCert } from "@ambit/shared/ca/types.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import { createSeqpacketConnection, createSeqpacketServer } from "@ambit/shared/linux/seqpacket.ts";
import type { Sources } from "@ambit/shared/proxy/sources.ts";
import { unwrap } from "@ambit/shared/runtime/result.ts";
import { aborted } from "@ambit/shared/runtime/run.ts";
import type { Service, Workload } from "@ambit/shared/state/types.ts";
import { type CertificateAuthority, createKey, createRoot, issueLeaf } from "@ambit/shared/tls/issue.ts";
import { encodeAddress } from "@ambit/shared/wire/address.ts";
import { encodeAuthorization } from "@ambit/shared/wire/authorization.ts";
import {
  ADDRESS_TYPE,
  type Address,
  AUTHORIZATION_TYPE,
  addressAliases,
  addressName,
  type ZdsAck,
  type ZdsRequest,
} from "@ambit/shared/wire/types.ts";
import { decodeZdsAck, decodeZdsHello, encodeZdsRequest } from "@ambit/shared/wire/zds.ts";
import type { XdsType, XdsUpdate, XdsUpsert } from "@ambit/shared/xds/client.ts";

const HOUR = 3_600_000;
/** A certificate at half of its life would be renewed again and again. */
const MINUTE = 60_000;

export const createTestCa = (): CertificateAuthority =>
  createRoot({ organization: "test", notBefore: Date.now() - HOUR, notAfter: Date.now() + HOUR });

export const issue = (ca: CertificateAuthority, id: SpiffeId): IssuedCert => {
  const { keyPem, publicKey } = createKey();
  const pem = issueLeaf(ca, { publicKey, uris: [id.uri], notBefore: Date.now() - MINUTE, notAfter: Date.now() + HOUR });
  return { keyPem, certChain: [pem, ca.certPem] };
};

export type TestController = {
  sources(): Sources;
  push(resources: {
    workloads?: readonly Workload[];
    services?: readonly Service[];
    policies?: readonly Policy[];
    removedPolicies?: readonly string[];
    removed?: readonly string[];
  }): Promise<void>;
  /** Who is waited for after every push. */
  settle(settled: () => Promise<void>): void;
};

/** Resolves when all who follow decide by what was pushed. Any number of ztunnels follow it; what was pushed before one came is its first state. */
export const createTestController = (ca: CertificateAuthority): TestController => {
  type Follower = { readonly types: readonly XdsType[]; readonly names: Set<string> };
  const followers = new Set<Follower>();
  const settling: (() => Promise<void>)[] = [];
  const history: { typeUrl: string; update: XdsUpdate }[] = [];
  /** What there is now of workloads and services, for those who ask by name. */
  const held = new Map<string, XdsUpsert>();
  const give = ({ types, names }: Follower, { typeUrl, update }: { typeUrl: string; update: XdsUpdate }): void => {
    const type = types.find((t) => t.typeUrl === typeUrl);
    const asked = (u: XdsUpsert): boolean => type?.subscribe === "wildcard" || [u.name, ...u.aliases].some((n) => names.has(n));
    const mine = { upserts: update.upserts.filter(asked), removed: update.removed };
    const rejected = type?.apply(mine).rejected ?? [];
    if (rejected.length > 0) throw new Error(`refused: ${JSON.stringify(rejected)}`);
  };
  const answer = (follower: Follower, typeUrl: string, names: readonly string[]): void => {
    for (const n of names) follower.names.add(n);
    const found = [...held.values()].filter((u) => [u.name, ...u.aliases].some((n) => names.includes(n)));
    const absent = names.filter((n) => !found.some((u) => u.name === n || u.aliases.includes(n)));
    give(follower, { typeUrl, update: { upserts: found, removed: absent } });
  };
  const upsert = (name: string, value: Uint8Array, aliases: readonly string[] = []): XdsUpsert => ({ name, version: "", value, aliases });
  /** A service's endpoints are sent to whoever asks for it. */
  const companions = (a: Address): string[] => (a.kind === "workload" ? Object.keys(a.workload.services) : []);
  return {
    settle: (settled) => void settling.push(settled),
    push: async ({ workloads = [], services = [], policies = [], removedPolicies = [], removed = [] }) => {
      const addresses = [
        ...services.map((service) => ({ kind: "service" as const, service })),
        ...workloads.map((workload) => ({ kind: "workload" as const, workload })),
      ];
      const pushes = [
        {
          typeUrl: AUTHORIZATION_TYPE,
          update: {
            upserts: policies.map((p) => upsert(`${p.namespace}/${p.name}`, unwrap(encodeAuthorization(p)))),
            removed: removedPolicies,
          },
        },
        {
          typeUrl: ADDRESS_TYPE,
          update: {
            upserts: addresses.map((a) => upsert(addressName(a), encodeAddress(a), [...addressAliases(a), ...companions(a)])),
            removed,
          },
        },
      ];
      for (const u of pushes[1]?.update.upserts ?? []) held.set(u.name, u);
      for (const name of removed) held.delete(name);
      for (const push of pushes) {
        history.push(push);
        for (const follower of followers) give(follower, push);
      }
      await Promise.all(settling.map((settled) => settled()));
    },
    sources: () => ({
      fetchCertificate: async (id) => issue(ca, id),
      follow: (types) => {
        const follower: Follower = { types, names: new Set() };
        return {
          run: async (signal) => {
            followers.add(follower);
            await aborted(signal);
            followers.delete(follower);
          },
          firstSync: async () => {
            for (const push of history) give(follower, push);
          },
          // As over a network: not in the turn of the question.
          subscribe: (typeUrl, names) => void setImmediate(() => answer(follower, typeUrl, names)),
          unsubscribe: (_typeUrl, names) => {
            for (const n of names) follower.names.delete(n);
          },
        };
      },
      close: () => {},
    }),
  };
};

export type AgentSession = { tell(request: ZdsRequest, fds?: readonly number[]): Promise<ZdsAck>; close(): void };
export type TestAgent = Disposable & { readonly path: string; session(): Promise<AgentSession> };

/** A ZDS server: each session is one ztunnel that has said hello. */
export const createTestAgent = (dir: string): TestAgent => {
  const path = join(dir, "zds.sock");
  const arrivals = new EventTarget();
  const waiting: AgentSession[] = [];
  const onConnection = (fd: number): void => {
    const acks: { resolve(ack: ZdsAck): void; reject(e: Error): void }[] = [];
    let greeted = false;
    const connection = createSeqpacketConnection(fd, {
      onMessage: ({ bytes }) => {
        if (greeted) return acks.shift()?.resolve(unwrap(decodeZdsAck(bytes)));
        unwrap(decodeZdsHello(bytes));
        greeted = true;
        waiting.push({
          tell: async (request, fds = []) => {
            const { promise, resolve, reject } = Promise.withResolvers<ZdsAck>();
            acks.push({ resolve, reject });
            await connection.send(encodeZdsRequest(request), fds);
            return promise;
          },
          close: () => connection.close(),
        });
        arrivals.dispatchEvent(new Event("session"));
      },
      onClose: () => {
        for (const a of acks.splice(0)) a.reject(new Error("the ztunnel closed the connection"));
      },
    });
  };
  const server = createSeqpacketServer(path, onConnection);
  return {
    path,
    session: async () => {
      if (waiting.length === 0) await once(arrivals, "session", { signal: AbortSignal.timeout(10_000) });
      const session = waiting.shift();
      if (session === undefined) throw new Error("no session");
      return session;
    },
    [Symbol.dispose]: () => server.close(),
  };
};
