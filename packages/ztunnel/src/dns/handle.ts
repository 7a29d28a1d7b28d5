// How is one query of a pod answered: by the mesh, by a nameserver, or with a refusal?

import type { World } from "@ambit/shared/runtime/world.ts";
import type { Workload } from "@ambit/shared/state/types.ts";
import type { ScopedLogger } from "@ambit/shared/telemetry/log.ts";
import type { DnsProtocol, Upstream } from "./client.ts";
import {
  answerCount,
  encodeAnswer,
  MAX_MESSAGE,
  type Query,
  RCODE,
  type Rcode,
  rcodeOf,
  readQuery,
  TYPE_A,
  TYPE_AAAA,
  typeName,
  udpLimit,
} from "./message.ts";
import { serviceKeys } from "./names.ts";
import { type DnsReports, dnsLabels } from "./reports.ts";
import { type NameAnswer, type NameRules, type NameView, resolveName, shuffled } from "./resolve.ts";

/** How long a name may wait for the controller, where the mesh is fetched on demand. */
const DEMAND_MS = 1_000;
/** Seconds that a client may keep an answer of ours. */
const TTL = 30;

export type HandlerDeps = {
  readonly view: NameView;
  readonly rules: NameRules;
  readonly upstream: Upstream;
  /** The asking pod's own workload; rejects when it is not known. */
  readonly workload: (signal: AbortSignal) => Promise<Workload>;
  /**
   * Of a mesh that is fetched on demand: resolves when each of the services ("ns/hostname") is held, with its endpoints, or known
   * not to be there. Asked before a name counts as not ours.
   */
  readonly demand?: ((keys: readonly string[], signal: AbortSignal) => Promise<void>) | undefined;
  readonly reports: DnsReports;
  readonly world: Pick<World, "random" | "sleep">;
  /** Milliseconds on a clock that is never set. */
  readonly monotonic: () => number;
  readonly log: ScopedLogger;
};

export type Handler = {
  /** The answer's bytes, or undefined for what gets none. Never rejects. */
  handle(bytes: Buffer, how: { readonly protocol: DnsProtocol; readonly signal: AbortSignal }): Promise<Buffer | undefined>;
  /** Resolves when no query waits. */
  idle(): Promise<void>;
};

/**
 * Queries of one pod that may wait for nameservers at a time, in one thread; those above are refused at once (SERVFAIL), so that a
 * flood of outside names costs little and takes nothing from the mesh's own names.
 */
const MAX_FORWARDED = 256;
/** All that wait for anything, be it to know whose they are. */
const MAX_PENDING = 1_024;

/** IXFR and AXFR answer with many messages, where one goes through here. */
const ZONE_TRANSFERS: ReadonlySet<number> = new Set([251, 252]);

type Asked = { readonly query: Query; readonly protocol: DnsProtocol; readonly limit: number; readonly signal: AbortSignal };

const isAddressQuery = (q: Query): q is Query & { readonly name: string } =>
  q.inInternet && q.name !== undefined && (q.type === TYPE_A || q.type === TYPE_AAAA);

const fields = (q: Query, client: Workload | undefined, outcome: { result: string; endpoints: number }) => ({
  "src.workload": client?.name ?? "unknown",
  "src.namespace": client?.namespace ?? "unknown",
  query: typeName(q.type),
  domain: q.name === undefined ? undefined : `${q.name}.`,
  ...outcome,
});

export const createHandler = (deps: HandlerDeps): Handler => {
  const { log, reports, rules, view } = deps;
  let pending = 0;
  let forwarded = 0;
  const idle: (() => void)[] = [];

  const say = (q: Query, client: Workload | undefined, outcome: { result: string; endpoints: number }): void => {
    if (log.enabled("debug")) log.debug("dns query", fields(q, client, outcome));
  };
  const refuse = ({ query, limit }: Asked, rcode: Rcode): Buffer => encodeAnswer(query, { rcode, authoritative: false }, limit);

  const forward = async (asked: Asked, client: Workload): Promise<Buffer> => {
    const { query, protocol } = asked;
    if (forwarded >= MAX_FORWARDED) {
      say(query, client, { result: `not forwarded: ${MAX_FORWARDED} queries of the pod wait for an answer`, endpoints: 0 });
      return refuse(asked, RCODE.SERVFAIL);
    }
    const labels = dnsLabels({ type: query.type, protocol }, client);
    const began = deps.monotonic();
    const done = (failed: boolean): void => reports.forwarded(labels, { seconds: (deps.monotonic() - began) / 1000, failed });
    forwarded++;
    try {
      const { answer } = await deps.upstream.ask(query, asked);
      done(rcodeOf(answer) !== RCODE.NOERROR && rcodeOf(answer) !== RCODE.NXDOMAIN);
      say(query, client, { result: "forwarded", endpoints: answerCount(answer) });
      return answer;
    } catch (e) {
      done(true);
      say(query, client, { result: `forwarding failed (${e instanceof Error ? e.message : String(e)})`, endpoints: 0 });
      return refuse(asked, RCODE.SERVFAIL);
    } finally {
      forwarded--;
    }
  };

  const resolve = (query: Query & { readonly name: string }, client: Workload): NameAnswer =>
    resolveName(view, { name: query.name, family: query.type === TYPE_A ? "ipv4" : "ipv6" }, client, rules);

  /** Waits for the controller, but not for long: without it the names that are held, and outside names, still resolve. */
  const learn = async (demand: NonNullable<HandlerDeps["demand"]>, keys: readonly string[], signal: AbortSignal): Promise<void> => {
    const patience = new AbortController();
    const onAbort = (): void => patience.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    const late = deps.world.sleep(DEMAND_MS, patience.signal).then(
      () => patience.abort(new Error(`the controller did not answer within ${DEMAND_MS} ms`)),
      () => {}, // it did
    );
    try {
      await demand(keys, patience.signal);
    } catch (e) {
      log.debug("a name could not be asked of the controller", { error: e instanceof Error ? e.message : String(e) });
    } finally {
      signal.removeEventListener("abort", onAbort);
      patience.abort(new Error("answered"));
      await late;
    }
  };

  /** What the mesh says, once it has had the chance to learn of the name. */
  const decide = async (asked: Asked, query: Query & { readonly name: string }, client: Workload): Promise<NameAnswer> => {
    const now = resolve(query, client);
    if (now.kind !== "forward" || deps.demand === undefined) return now;
    const scope = { namespace: client.namespace, clusterDomain: rules.clusterDomain, search: rules.search };
    await learn(deps.demand, serviceKeys(query.name, scope, rules.preferredNamespace), asked.signal);
    return resolve(query, client);
  };

  const answerOurs = (asked: Asked, client: Workload, answer: Exclude<NameAnswer, { kind: "forward" }>): Buffer => {
    const { query, limit } = asked;
    if (answer.kind === "no-data") {
      const result = answer.why === "no-address" ? "no records" : "service does not support this record type";
      say(query, client, { result, endpoints: 0 });
      return encodeAnswer(query, { rcode: RCODE.NOERROR, authoritative: true }, limit);
    }
    const addresses = shuffled(answer.addresses, deps.world.random);
    say(query, client, { result: "success", endpoints: addresses.length });
    const content = { rcode: RCODE.NOERROR, authoritative: true, addresses, canonical: answer.canonical, ttl: TTL };
    return encodeAnswer(query, content, limit);
  };

  const serve = async (asked: Asked): Promise<Buffer> => {
    const { query, protocol, signal } = asked;
    let client: Workload;
    try {
      client = await deps.workload(signal);
    } catch (e) {
      reports.request(dnsLabels({ type: query.type, protocol }, undefined));
      say(query, undefined, { result: `unknown source (${e instanceof Error ? e.message : String(e)})`, endpoints: 0 });
      return refuse(asked, RCODE.SERVFAIL);
    }
    reports.request(dnsLabels({ type: query.type, protocol }, client));
    if (ZONE_TRANSFERS.has(query.type)) return refuse(asked, RCODE.NOTIMP);
    if (!isAddressQuery(query)) return forward(asked, client);
    const answer = await decide(asked, query, client);
    if (answer.kind === "forward") return forward(asked, client);
    if (query.edns !== undefined && query.edns.version !== 0) return refuse(asked, RCODE.BADVERS);
    return answerOurs(asked, client, answer);
  };

  return {
    idle: () => (pending === 0 ? Promise.resolve() : new Promise((resolve) => void idle.push(resolve))),
    handle: async (bytes, { protocol, signal }) => {
      const read = readQuery(bytes);
      if (read.kind === "drop") return undefined;
      if (read.kind === "refuse") {
        if (log.enabled("debug")) log.debug("a query that cannot be read", { reason: read.why });
        return read.answer;
      }
      const { query } = read;
      const asked: Asked = { query, protocol, limit: protocol === "tcp" ? MAX_MESSAGE : udpLimit(query.edns), signal };
      if (pending >= MAX_PENDING) {
        say(query, undefined, { result: `${MAX_PENDING} queries of the pod wait already`, endpoints: 0 });
        return refuse(asked, RCODE.SERVFAIL);
      }
      pending++;
      try {
        return await serve(asked);
      } catch (e) {
        // Whatever was not foreseen costs one answer, not the server; on-demand state that did not come is the usual case.
        log.warn("a query could not be answered", { domain: query.name, error: e instanceof Error ? e.message : String(e) });
        return refuse(asked, RCODE.SERVFAIL);
      } finally {
        pending--;
        if (pending === 0) for (const resolve of idle.splice(0)) resolve();
      }
    },
  };
};
