// How is an endpoint reached: through its tunnel, or in clear when it has none?

import { connect as connectTcp } from "node:net";
import type { Duplex } from "node:stream";
import { formatSocketAddr, type SocketAddr } from "@ambit/shared/addr/socket.ts";
import { asMeshError, MeshError } from "@ambit/shared/errors/mesh-error.ts";
import type { TunnelPool } from "@ambit/shared/hbone/types.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { Chosen } from "./choose.ts";

export type Dial = (to: Chosen, signal: AbortSignal) => Promise<Duplex>;

export type DialDeps = {
  readonly tunnels: Pick<TunnelPool, "connect">;
  /** The waypoint's own identity and address. */
  readonly self: SpiffeId;
  readonly from: string;
  readonly hbonePort: number;
  readonly connectTimeoutMs: number;
  readonly world: Pick<World, "sleep">;
};

/** A TCP connection with both halves independent. Rejects with CONNECT or CONNECT_TIMEOUT, or the signal's reason. */
export const dialTcp = (to: SocketAddr, d: { signal: AbortSignal; timeoutMs: number; world: Pick<World, "sleep"> }): Promise<Duplex> =>
  new Promise((resolve, reject) => {
    if (d.signal.aborted) return reject(asMeshError(d.signal.reason, "CLIENT_GONE"));
    const timer = new AbortController();
    const socket = connectTcp({ host: to.ip, port: to.port, allowHalfOpen: true, noDelay: true });
    const settle = (): void => {
      timer.abort();
      d.signal.removeEventListener("abort", onAbort);
      socket.removeListener("error", onError);
    };
    const fail = (error: MeshError): void => {
      settle();
      socket.on("error", () => undefined);
      socket.destroy();
      reject(error);
    };
    const onError = (e: Error): void => fail(new MeshError("CONNECT", `cannot connect to ${formatSocketAddr(to)}: ${e.message}`, e));
    const onAbort = (): void => fail(asMeshError(d.signal.reason, "CLIENT_GONE"));
    socket.once("error", onError);
    socket.once("connect", () => {
      settle();
      resolve(socket);
    });
    d.signal.addEventListener("abort", onAbort, { once: true });
    d.world.sleep(d.timeoutMs, timer.signal).then(
      () => fail(new MeshError("CONNECT_TIMEOUT", `no connection to ${formatSocketAddr(to)} within ${d.timeoutMs} ms`)),
      () => undefined, // cleared
    );
  });

/** The tunnel's peer must be exactly the chosen workload; a workload that has no tunnel is dialled in clear. */
export const createDial =
  (d: DialDeps): Dial =>
  async (to, signal) => {
    if (to.via === "plain") return dialTcp(to.address, { signal, timeoutMs: d.connectTimeoutMs, world: d.world });
    const target = { self: d.self, expect: [to.expect], to: { ip: to.address.ip, port: d.hbonePort }, from: d.from };
    try {
      const tunnel = await d.tunnels.connect(target, { authority: formatSocketAddr(to.address), headers: {} }, signal);
      return tunnel.stream;
    } catch (e) {
      throw signal.aborted ? asMeshError(signal.reason, "CLIENT_GONE") : asMeshError(e, "CONNECT");
    }
  };
