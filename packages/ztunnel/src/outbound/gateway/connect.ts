// How is a tunnel opened inside a tunnel, through the gateway of another network? (double HBONE, ambient-l4 section 1.6)

import { formatSocketAddr, type SocketAddr } from "@ambit/shared/addr/socket.ts";
import type { WorkloadCert } from "@ambit/shared/ca/types.ts";
import { MeshError } from "@ambit/shared/errors/mesh-error.ts";
import { connectTunnels } from "@ambit/shared/hbone/connect.ts";
import { openTunnel, tunnelStream } from "@ambit/shared/hbone/open.ts";
import type { TunnelHeaders, TunnelPool, TunnelStream } from "@ambit/shared/hbone/types.ts";
import type { SpiffeId } from "@ambit/shared/identity/spiffe.ts";
import type { World } from "@ambit/shared/runtime/world.ts";

export type DoubleTunnel = {
  readonly self: SpiffeId;
  readonly gateway: SocketAddr;
  readonly outer: readonly SpiffeId[];
  readonly inner: readonly SpiffeId[];
  readonly authority: string;
  readonly headers: TunnelHeaders;
  /** The caller's own network: the other side knows it for another one, and does not look addresses of it up. */
  readonly network: string;
  /** The pod's address. */
  readonly from: string;
};

export type DoubleDeps = {
  readonly pool: Pick<TunnelPool, "connect">;
  readonly cert: (self: SpiffeId) => Promise<WorkloadCert>;
  readonly world: World;
};

const HANDSHAKE_MS = 10_000;
const ANSWER_MS = 20_000;

/**
 * The gateway's connection is pooled and shared; the inner one carries this tunnel alone and ends with it. Throws MeshError; nothing
 * is left open then.
 */
export const openDoubleTunnel = async (t: DoubleTunnel, deps: DoubleDeps, signal: AbortSignal): Promise<TunnelStream> => {
  const where = `${t.authority} beyond the gateway ${formatSocketAddr(t.gateway)}`;
  if (t.inner.length === 0)
    throw new MeshError("TLS", `no identity is expected of ${where}: the service has no subject alternative names, so nobody would do`);
  const request = { authority: t.authority, headers: t.headers };
  const outer = await deps.pool.connect({ self: t.self, expect: t.outer, to: t.gateway, from: t.from }, request, signal);
  const target = { self: t.self, expect: t.inner, to: t.gateway, from: t.from };
  const dialled = { cert: deps.cert, dial: async () => outer.stream, world: deps.world, dialMs: HANDSHAKE_MS };
  const { session, peer } = await connectTunnels(target, dialled, signal).catch((e: unknown) => {
    outer.stream.destroy();
    throw e;
  });
  const inner = { ...request, headers: { ...t.headers, "x-forwarded-network": t.network } };
  try {
    // Its own CONNECT is the only stream there will ever be: with it the inner connection ends, and so the outer stream.
    const opened = await openTunnel({ session, request: inner, world: deps.world, answerMs: ANSWER_MS, signal }, () => session.close());
    return tunnelStream(opened.end, peer, opened.headers);
  } catch (e) {
    session.destroy();
    throw e instanceof MeshError ? e : new MeshError("H2_HANDSHAKE", `${where} refused the tunnel`, e);
  }
};
