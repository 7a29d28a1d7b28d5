// Which address does an endpoint have that is known by its host name only? (ServiceEntry endpoints; ambient-l4 section 5)

import { randomInt } from "node:crypto";
import { type Ip, isV4, parseIp } from "@ambit/shared/addr/ip.ts";
import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Workload } from "@ambit/shared/state/types.ts";
import packet from "dns-packet";
import type { Upstream } from "./client.ts";
import { RCODE, rcodeOf, readQuery, udpLimit } from "./message.ts";

export type HostQuestion = {
  readonly prefer: "ipv4" | "ipv6";
  /** Who asks, for the metric. */
  readonly source: Workload;
  readonly signal: AbortSignal;
};

export type HostResolver = {
  /** One of the host's addresses at random, of the preferred family when it has one. Throws MeshError NO_HEALTHY_UPSTREAM. */
  resolve(hostname: string, question: HostQuestion): Promise<Ip>;
};

export type HostResolverDeps = {
  readonly upstream: Upstream;
  readonly world: Pick<World, "now" | "random">;
  /** Counts a host that had to be asked for. */
  readonly asked: (hostname: string, source: Workload) => void;
};

export type Resolved = { readonly addresses: readonly Ip[]; readonly ttlMs: number };

/** As many as Istio's resolver keeps. */
export const MAX_HOSTS = 4096;
/** A record that may not be kept is kept a moment: a burst of connections asks once. */
const MIN_TTL_MS = 1_000;
const MAX_TTL_MS = 3_600_000;
/** That a host has no address is kept for as long as its zone says, and no longer than this. */
const MAX_NEGATIVE_MS = 30_000;
/** An answer that has run out is still used so long while nobody can be asked (RFC 8767). */
const STALE_MS = 1_800_000;
const STALE_RETRY_MS = 5_000;
const EDNS_SIZE = 1_232;
const MAX_ALIASES = 16;

type Answers = readonly packet.Answer[];

const same = (a: string, b: string): boolean => a.toLowerCase().replace(/\.$/, "") === b.toLowerCase().replace(/\.$/, "");

/** The addresses that the answer gives to the name, through its aliases, and for how long. Pure. */
export const addressesIn = (answers: Answers, name: string): { readonly addresses: readonly Ip[]; readonly ttl: number | undefined } => {
  let owner = name;
  let ttl: number | undefined;
  const least = (n: number | undefined): void => {
    ttl = Math.min(ttl ?? Number.POSITIVE_INFINITY, n ?? 0);
  };
  for (let hops = 0; hops < MAX_ALIASES; hops++) {
    const alias = answers.find((r) => r.type === "CNAME" && same(r.name, owner));
    if (alias?.type !== "CNAME") break;
    least(alias.ttl);
    owner = alias.data;
  }
  const addresses = answers.flatMap((r) => {
    if ((r.type !== "A" && r.type !== "AAAA") || !same(r.name, owner)) return [];
    const ip = parseIp(r.data);
    if (!ip.ok) return [];
    least(r.ttl);
    return [ip.value];
  });
  return { addresses, ttl };
};

const soaMinimum = (authorities: Answers): number | undefined => {
  const soa = authorities.find((r) => r.type === "SOA");
  return soa?.type === "SOA" ? Math.min(soa.ttl ?? 0, soa.data.minimum ?? 0) : undefined;
};

const clamp = (ms: number, most: number): number => Math.min(most, Math.max(MIN_TTL_MS, ms));

/** Both families' answers as one; without any address it is a negative answer. Pure. */
export const merged = (responses: readonly packet.Packet[], name: string): Resolved => {
  const found = responses.map((r) => addressesIn(r.answers ?? [], name));
  const addresses = [...new Set(found.flatMap((f) => f.addresses))];
  if (addresses.length === 0) {
    const ttls = responses.flatMap((r) => soaMinimum(r.authorities ?? []) ?? []);
    return { addresses, ttlMs: clamp(Math.min(MAX_NEGATIVE_MS / 1000, ...ttls) * 1000, MAX_NEGATIVE_MS) };
  }
  const ttls = found.flatMap((f) => (f.addresses.length > 0 ? (f.ttl ?? 0) : []));
  return { addresses, ttlMs: clamp(Math.min(...ttls) * 1000, MAX_TTL_MS) };
};

const query = (hostname: string, type: "A" | "AAAA"): Buffer =>
  packet.encode({
    type: "query",
    id: randomInt(0x10000),
    flags: packet.RECURSION_DESIRED,
    questions: [{ type, name: hostname, class: "IN" }],
    additionals: [
      { type: "OPT", name: ".", udpPayloadSize: EDNS_SIZE, extendedRcode: 0, ednsVersion: 0, flags: 0, flag_do: false, options: [] },
    ],
  });

const askOne = async (upstream: Upstream, hostname: string, type: "A" | "AAAA"): Promise<packet.Packet> => {
  const read = readQuery(query(hostname, type));
  if (read.kind !== "query") throw new Error(`${JSON.stringify(hostname)} cannot be asked for`);
  const signal = new AbortController().signal; // shared by all who wait: nobody's leaving ends it, the upstream's own deadline does
  const how = { limit: udpLimit(read.query.edns), signal };
  let { answer } = await upstream.ask(read.query, { ...how, protocol: "udp" });
  let message = packet.decode(answer);
  if (message.flag_tc) {
    ({ answer } = await upstream.ask(read.query, { ...how, protocol: "tcp" }));
    message = packet.decode(answer);
  }
  const rcode = rcodeOf(answer);
  if (rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN) throw new Error(`the nameserver answered with code ${rcode}`);
  return message;
};

/** Both families at once; one that fails does not take the other's addresses away. */
const askBoth = async (upstream: Upstream, hostname: string): Promise<Resolved> => {
  const results = await Promise.allSettled([askOne(upstream, hostname, "A"), askOne(upstream, hostname, "AAAA")]);
  const responses = results.flatMap((r) => (r.status === "fulfilled" ? [r.value] : []));
  const failure = results.find((r) => r.status === "rejected");
  const answer = merged(responses, hostname);
  if (failure !== undefined && answer.addresses.length === 0) throw failure.reason;
  return answer;
};

/** One of the addresses, of the preferred family when there is one. Pure; `random` is uniform in [0, 1). */
export const pickAddress = (addresses: readonly Ip[], prefer: "ipv4" | "ipv6", random: () => number): Ip | undefined => {
  const preferred = addresses.filter((ip) => isV4(ip) === (prefer === "ipv4"));
  const from = preferred.length > 0 ? preferred : addresses;
  return from[Math.floor(random() * from.length)];
};

type Kept = { readonly addresses: readonly Ip[]; freshUntil: number; readonly staleUntil: number };

const text = (e: unknown): string => (e instanceof Error ? e.message : String(e));

/** The waiter's signal ends its waiting, not the question, which others may wait for too. */
const orAborted = <T>(work: Promise<T>, signal: AbortSignal): Promise<T> => {
  if (signal.aborted) return Promise.reject(signal.reason);
  let onAbort = (): void => {};
  const left = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
  });
  return Promise.race([work, left]).finally(() => signal.removeEventListener("abort", onAbort));
};

export const createHostResolver = ({ upstream, world, asked }: HostResolverDeps): HostResolver => {
  const kept = new Map<string, Kept>(); // in the order of last use
  const asking = new Map<string, Promise<readonly Ip[]>>();

  const keep = (hostname: string, entry: Kept): void => {
    kept.delete(hostname);
    kept.set(hostname, entry);
    const [oldest] = kept.keys();
    if (kept.size > MAX_HOSTS && oldest !== undefined) kept.delete(oldest);
  };
  const ask = async (hostname: string): Promise<readonly Ip[]> => {
    try {
      const { addresses, ttlMs } = await askBoth(upstream, hostname);
      const freshUntil = world.now() + ttlMs;
      keep(hostname, { addresses, freshUntil, staleUntil: freshUntil + STALE_MS });
      return addresses;
    } catch (e) {
      const old = kept.get(hostname);
      if (old === undefined || old.addresses.length === 0 || old.staleUntil <= world.now())
        throw new MeshError("NO_HEALTHY_UPSTREAM", `the host ${hostname} cannot be resolved: ${text(e)}`, e);
      old.freshUntil = world.now() + STALE_RETRY_MS;
      return old.addresses;
    }
  };
  const lookUp = (hostname: string, source: Workload): Promise<readonly Ip[]> => {
    const known = kept.get(hostname);
    if (known !== undefined && known.freshUntil > world.now()) {
      keep(hostname, known);
      return Promise.resolve(known.addresses);
    }
    const running = asking.get(hostname);
    if (running !== undefined) return running;
    asked(hostname, source);
    const question = ask(hostname).finally(() => asking.delete(hostname));
    asking.set(hostname, question);
    return question;
  };

  return {
    resolve: async (hostname, { prefer, source, signal }) => {
      const addresses = await orAborted(lookUp(hostname.toLowerCase().replace(/\.$/, ""), source), signal);
      const picked = pickAddress(addresses, prefer, world.random);
      if (picked === undefined) throw new MeshError("NO_HEALTHY_UPSTREAM", `the host ${hostname} has no address`);
      return picked;
    },
  };
};
