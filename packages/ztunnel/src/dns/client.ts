// How is a query that is not ours asked of the nameservers, from inside the pod? (raw bytes out, raw bytes back)

import { randomInt } from "node:crypto";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { Socket } from "node:net";
import { type Ip, isV4 } from "@ambit/shared/addr/ip.ts";
import { formatSocketAddr, type SocketAddr } from "@ambit/shared/addr/socket.ts";
import { closeFd, socketIn } from "@ambit/shared/linux/socket.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import { answersQuestion, isTruncated, MAX_MESSAGE, type Query, RCODE, rcodeOf, withId } from "./message.ts";
import { createFrames, frame } from "./stream.ts";

export type DnsProtocol = "udp" | "tcp";

/** The answer's bytes under the client's own id. */
export type Forwarded = { readonly answer: Buffer; readonly from: SocketAddr };

export type Upstream = {
  /** Asks until a nameserver answers. Throws an Error that says what became of each try, or the signal's reason. */
  ask(query: Query, how: { readonly protocol: DnsProtocol; readonly limit: number; readonly signal: AbortSignal }): Promise<Forwarded>;
};

export type UpstreamOptions = {
  readonly servers: readonly SocketAddr[];
  /** A socket's fd, made where the question shall come from. */
  readonly socket: (family: "ipv4" | "ipv6", protocol: DnsProtocol) => number;
  readonly world: World;
};

/** Sockets in a namespace (ours, without one), marked so that the redirect rules let them pass. */
export const socketsFrom =
  (netns: { readonly fd: number } | undefined, mark: number | undefined): UpstreamOptions["socket"] =>
  (family, type) =>
    socketIn({ family, type, ...(netns === undefined ? {} : { netns: netns.fd }), ...(mark === undefined ? {} : { mark }) });

/** Stub resolvers wait 5 s for an answer; ours must come before they give up. */
const DEADLINE_MS = 4_500;
/** After this the next nameserver is asked too, and the first may still answer. */
const PATIENCE_MS = 1_000;
const UDP_ROUNDS = 2;
/** Servers cut what is larger over UDP whatever the client says it takes (DNS flag day 2020). */
const USUAL_UDP_LIMIT = 1_232;

type Question = { readonly query: Query; readonly id: number; readonly message: Buffer };
type Try = { readonly server: SocketAddr; readonly question: Question; readonly signal: AbortSignal };

const familyOf = (ip: Ip): "ipv4" | "ipv6" => (isV4(ip) ? "ipv4" : "ipv6");

const openUdp = (fd: number, family: "ipv4" | "ipv6"): UdpSocket => {
  const socket = createSocket({ type: family === "ipv4" ? "udp4" : "udp6" });
  try {
    return socket.bind({ fd });
  } catch (e) {
    closeFd(fd);
    throw e;
  }
};

/** Connected, so that the kernel drops what comes from anybody else; its port is the kernel's random choice. */
const askUdp = (fd: number, { server, question, signal }: Try): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const socket = openUdp(fd, familyOf(server.ip));
    const settle = (done: () => void): void => {
      signal.removeEventListener("abort", onAbort);
      socket.removeAllListeners("message");
      socket.close();
      done();
    };
    const onAbort = (): void => settle(() => reject(signal.reason));
    const onError = (e: Error): void => settle(() => reject(e));
    socket.once("error", onError);
    socket.on("message", (bytes) => {
      if (!answersQuestion(bytes, question)) return; // not to this question: forged, or late
      socket.removeListener("error", onError);
      settle(() => resolve(bytes));
    });
    signal.addEventListener("abort", onAbort, { once: true });
    socket.connect(server.port, server.ip, () => socket.send(question.message));
  });

const askTcp = (fd: number, { server, question, signal }: Try): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const options = { fd, readable: true, writable: true, manualStart: true };
    const socket = new Socket(options);
    const settle = (done: () => void): void => {
      signal.removeEventListener("abort", onAbort);
      socket.destroy();
      done();
    };
    const onAbort = (): void => settle(() => reject(signal.reason));
    const frames = createFrames(MAX_MESSAGE);
    socket.on("error", (e) => settle(() => reject(e)));
    socket.once("close", () => settle(() => reject(new Error("the connection was closed without an answer"))));
    socket.on("data", (chunk: Buffer) => {
      const messages = frames.push(chunk);
      const found = messages === "too-long" ? undefined : messages.find((bytes) => answersQuestion(bytes, question));
      if (found !== undefined) settle(() => resolve(found));
    });
    signal.addEventListener("abort", onAbort, { once: true });
    socket.connect({ host: server.ip, port: server.port }, () => socket.write(frame(question.message)));
  });

type Outcome =
  | { readonly kind: "answer"; readonly forwarded: Forwarded }
  /** It says that it cannot, or will not; another server may. */
  | { readonly kind: "declined"; readonly forwarded: Forwarded }
  | { readonly kind: "failed"; readonly error: string };

const text = (e: unknown): string => (e instanceof Error ? e.message : String(e));

const question = (query: Query): Question => {
  const id = randomInt(0x10000);
  return { query, id, message: withId(query.bytes, id) };
};

export const createUpstream = ({ servers, socket, world }: UpstreamOptions): Upstream => {
  const exchange = (protocol: DnsProtocol, server: SocketAddr, asked: { query: Query; signal: AbortSignal }): Promise<Buffer> => {
    asked.signal.throwIfAborted();
    const fd = socket(familyOf(server.ip), protocol);
    const a = { server, question: question(asked.query), signal: asked.signal };
    return protocol === "udp" ? askUdp(fd, a) : askTcp(fd, a);
  };

  /** A server that cut its answer at a size of its own, where the client takes more, has the whole over TCP. */
  const whole = async (cut: Buffer, server: SocketAddr, asked: { query: Query; signal: AbortSignal; limit: number }): Promise<Buffer> => {
    if (!isTruncated(cut) || asked.limit <= USUAL_UDP_LIMIT) return cut;
    const full = await exchange("tcp", server, asked).catch(() => cut); // the client may ask over TCP itself
    return full.length <= asked.limit ? full : cut;
  };

  const attempt = async (server: SocketAddr, asked: { query: Query; protocol: DnsProtocol; limit: number; signal: AbortSignal }) => {
    try {
      const first = await exchange(asked.protocol, server, asked);
      const bytes = asked.protocol === "udp" ? await whole(first, server, asked) : first;
      const forwarded = { answer: withId(bytes, asked.query.id), from: server };
      const declined = rcodeOf(bytes) === RCODE.SERVFAIL || rcodeOf(bytes) === RCODE.REFUSED;
      return { kind: declined ? "declined" : "answer", forwarded } satisfies Outcome as Outcome;
    } catch (e) {
      return { kind: "failed", error: `${formatSocketAddr(server)}: ${text(e)}` } satisfies Outcome as Outcome;
    }
  };

  return {
    ask: async (query, { protocol, limit, signal }) => {
      if (servers.length === 0) throw new Error("no nameserver is known");
      signal.throwIfAborted();
      // By hand, for AbortSignal.any costs more the more queries share the pod's signal.
      const over = new AbortController();
      const inTime = over.signal;
      const onAbort = (): void => over.abort(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      const late = world.sleep(DEADLINE_MS, inTime).then(
        () => over.abort(new Error(`no answer within ${DEADLINE_MS} ms`)),
        () => {}, // it was over before
      );
      const left = Array.from({ length: protocol === "udp" ? UDP_ROUNDS : 1 }, () => servers).flat();
      const running = new Set<Promise<Outcome>>();
      const failures: string[] = [];
      let declined: Forwarded | undefined;
      try {
        for (;;) {
          const server = left.shift();
          if (server !== undefined) running.add(attempt(server, { query, protocol, limit, signal: inTime }));
          if (running.size === 0) break;
          const ended = [...running].map(async (one) => ({ one, outcome: await one }));
          const patience = new AbortController();
          const waited = world.sleep(PATIENCE_MS, patience.signal).then(
            () => undefined,
            () => undefined, // something ended before
          );
          const first = await Promise.race(left.length > 0 ? [...ended, waited] : ended);
          patience.abort();
          if (first === undefined) continue;
          running.delete(first.one);
          const { outcome } = first;
          if (outcome.kind === "answer") return outcome.forwarded;
          if (outcome.kind === "declined") declined = outcome.forwarded;
          else failures.push(outcome.error);
          signal.throwIfAborted();
          if (over.signal.aborted) break;
        }
        if (declined !== undefined) return declined;
        throw new Error([...new Set(failures)].join("; "));
      } finally {
        signal.removeEventListener("abort", onAbort);
        over.abort(new Error("another try answered"));
        await late;
      }
    },
  };
};
