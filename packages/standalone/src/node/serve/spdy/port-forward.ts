// How do connections to a pod's ports travel over a SPDY connection?

import type { Duplex } from "node:stream";
import type { World } from "@ambit/shared/runtime/world.ts";
import { forward } from "../port-forward.ts";
import { portStream } from "./negotiate.ts";
import { serveSession } from "./session.ts";

const PAIR_MS = 30_000;

type Pair = { data?: Duplex; error?: Duplex; readonly complete: AbortController };

export type PortForwardOptions = { readonly world: World; readonly netnsPath: string; broken(why: string): void };

const carry = async (pair: { readonly data: Duplex; readonly error: Duplex }, to: { netnsPath: string; port: number }): Promise<void> => {
  pair.error.resume(); // the client only ends it
  const outcome = await forward(pair.data, to.netnsPath, to.port);
  // kubectl gives up the whole port-forward when it reads any error: a connection that was cut ends with RST_STREAM alone.
  if (outcome.kind === "refused") pair.error.write(`error forwarding port ${to.port}: ${outcome.message}`);
  pair.error.end();
};

/** Serves the connection until the client leaves. Each forwarded connection is a pair of streams with one request id. */
export const portForwardOnSpdy = (transport: Duplex, options: PortForwardOptions): void => {
  const pairs = new Map<string, Pair>();
  const session = serveSession(transport, {
    world: options.world,
    broken: options.broken,
    accept: (stream) => {
      const known = portStream(stream.headers, stream.id);
      if (!known.ok) return known.error;
      const { role, port, request } = known.value;
      const pair: Pair = pairs.get(request) ?? { complete: new AbortController() };
      if (pair[role] !== undefined) return `the request has its ${role} stream already`;
      pair[role] = stream.io;
      if (!pairs.has(request)) {
        pairs.set(request, pair);
        void expire(request, pair);
      }
      if (pair.data === undefined || pair.error === undefined) return undefined;
      pairs.delete(request);
      pair.complete.abort();
      void carry({ data: pair.data, error: pair.error }, { netnsPath: options.netnsPath, port });
      return undefined;
    },
  });
  const expire = async (request: string, pair: Pair): Promise<void> => {
    const late = await options.world.sleep(PAIR_MS, AbortSignal.any([pair.complete.signal, session.closed])).then(
      () => true,
      () => false,
    );
    if (!late) return;
    pairs.delete(request);
    pair.data?.destroy();
    pair.error?.destroy();
  };
};
