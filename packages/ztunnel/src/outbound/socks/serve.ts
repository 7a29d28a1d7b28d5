// How is a connection taken that an application asks for by SOCKS 5? (127.0.0.1:15080 in the pod, only with UNSTABLE_ENABLE_SOCKS5)

import type { Socket } from "node:net";
import { type Ip, isV4 } from "@ambit/shared/addr/ip.ts";
import { asMeshError, MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { Workload } from "@ambit/shared/state/types.ts";
import type { Pod } from "../../pod.ts";
import { type OutboundDeps, serveOutbound } from "../serve.ts";
import { within } from "../within.ts";
import { greetingReply, type Host, REPLY, readGreeting, readRequest, replyFor, requestReply } from "./parse.ts";

/** A client that has not said whom it wants by then is not going to. */
const NEGOTIATION_MS = 10_000;

type Asked = { readonly host: Host; readonly port: number };
/** Not for a log: the client has been told, or is gone. */
class Ended extends Error {}

/** Reads until `read` has what it wants; what came beyond that is put back. */
const take = <T extends { readonly kind: string }>(
  socket: Socket,
  read: (bytes: Buffer) => T,
  signal: AbortSignal,
): Promise<Exclude<T, { kind: "more" }>> =>
  new Promise((resolve, reject) => {
    let held: Buffer = Buffer.alloc(0);
    const settle = (): void => {
      socket.pause();
      socket.removeListener("data", onData);
      socket.removeListener("end", onEnd);
      socket.removeListener("close", onEnd);
      signal.removeEventListener("abort", onEnd);
    };
    const onEnd = (): void => {
      settle();
      reject(new Ended("the client ended before it said whom it wants"));
    };
    const onData = (chunk: Buffer): void => {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      const got = read(held);
      if (got.kind === "more") return;
      settle();
      if ("used" in got && typeof got.used === "number" && got.used < held.length) socket.unshift(held.subarray(got.used));
      resolve(got as Exclude<T, { kind: "more" }>);
    };
    if (signal.aborted || socket.destroyed) return onEnd();
    socket.on("data", onData);
    socket.once("end", onEnd);
    socket.once("close", onEnd);
    signal.addEventListener("abort", onEnd, { once: true });
    socket.resume();
  });

const negotiate = async (socket: Socket, signal: AbortSignal): Promise<Asked> => {
  const greeting = await take(socket, readGreeting, signal);
  if (greeting.kind === "bad") throw new Ended(greeting.detail);
  socket.write(greetingReply(greeting.withoutAuthentication));
  if (!greeting.withoutAuthentication) throw new Ended("the client asks for authentication");
  const request = await take(socket, readRequest, signal);
  if (request.kind === "connect") return request;
  socket.write(requestReply(request.code));
  throw new Ended(request.detail);
};

/** A service's own address where the mesh knows the name, else what DNS says. */
const addressOf = async (deps: OutboundDeps, source: Workload, host: Host, signal: AbortSignal): Promise<Ip> => {
  if (host.kind === "ip") return host.ip;
  const service = deps.view.serviceByHostname(host.name, source.namespace);
  const vips = (service?.addresses ?? []).filter((a) => a.network === source.network).map((a) => a.ip);
  const own = source.addresses.some(isV4) ? vips.find(isV4) : undefined;
  const vip = own ?? vips[0];
  if (vip !== undefined) return vip;
  if (deps.hosts === undefined) throw new MeshError("NO_HEALTHY_UPSTREAM", `nobody knows the address of ${host.name}`);
  return deps.hosts.resolve(host.name, { prefer: source.addresses.some(isV4) ? "ipv4" : "ipv6", source, signal });
};

const serve = async (pod: Pod, deps: OutboundDeps, socket: Socket): Promise<void> => {
  const abort = new AbortController();
  const late = (): Error => new Ended(`the client did not say whom it wants within ${NEGOTIATION_MS} ms`);
  using limit = within(deps.world, NEGOTIATION_MS, { signal: abort.signal, late });
  socket.once("close", () => abort.abort(new Ended("the client is gone")));
  const asked = await negotiate(socket, limit.signal);
  limit[Symbol.dispose]();
  const source = await pod.workload(abort.signal);
  const ip = await addressOf(deps, source, asked.host, abort.signal);
  // The client's own end is loopback: to everybody else it is the pod.
  const own = source.addresses.find((a) => isV4(a) === isV4(ip)) ?? source.addresses[0] ?? ip;
  await serveOutbound(pod, deps, {
    socket,
    from: { ip: own, port: socket.remotePort ?? 0 },
    to: { ip, port: asked.port },
    opened: () => void socket.write(requestReply(REPLY.succeeded)),
    failed: (error) => void socket.end(requestReply(replyFor(error.code))),
  });
};

/** Serves one client to its end; never rejects. */
export const serveSocks = async (pod: Pod, deps: OutboundDeps, socket: Socket): Promise<void> => {
  try {
    await serve(pod, deps, socket);
  } catch (e) {
    if (e instanceof Ended) return void socket.end();
    socket.end(requestReply(replyFor(asMeshError(e, "CONNECT").code)));
  }
};
