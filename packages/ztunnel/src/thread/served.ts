// Which pods does this data thread serve, and how do they begin and end here?

import type { Socket } from "node:net";
import { formatSocketAddr } from "@ambit/shared/addr/socket.ts";
import { createIdentities } from "../identities.ts";
import { TRAFFIC, type TrafficListener } from "../inpod/names.ts";
import { type PodProxy, startPodProxy } from "../inpod/proxy.ts";
import type { ConnectionKind } from "./balance.ts";
import { createHandover, type Handover, type Place } from "./handover.ts";
import type { PodConnections, PodDescription, ThreadSetup } from "./messages.ts";
import { ownFds } from "./own.ts";
import type { Shared } from "./shared.ts";

export type ServedPods = {
  /** Resolves when the pod's listeners are served; once for a key. */
  serve(about: PodDescription): Promise<void>;
  /** Resolves when nothing of the pod is held here any more. */
  stop(key: number): Promise<void>;
  proxy(key: number): PodProxy | undefined;
  /** Its connections may be passed to other threads from now on: all serve it. */
  balance(key: number): void;
  list(): readonly { readonly about: PodDescription; readonly proxy: PodProxy | undefined }[];
  connections(): Readonly<Record<string, PodConnections>>;
  readonly handover: Pick<Handover, "connect">;
};

/** A pod from the moment the thread is told of it. */
type Served = {
  readonly about: PodDescription;
  readonly starting: Promise<PodProxy>;
  proxy: PodProxy | undefined;
  balanced: boolean;
  end(): void;
};

const KIND: Readonly<Record<TrafficListener, { readonly kind: ConnectionKind; readonly halfOpen: boolean }>> = {
  outbound: { kind: "captured", halfOpen: true },
  passthrough: { kind: "captured", halfOpen: true },
  hbone: { kind: "tunnel", halfOpen: false },
};

/** A number that must not be used once the control thread may have closed it: asking for it then throws. */
const borrowed = (fd: number): { readonly fd: number; end(): void } => {
  let open = true;
  return {
    get fd() {
      if (!open) throw new Error("the network namespace has been closed");
      return fd;
    },
    end: () => {
      open = false;
    },
  };
};

const connectionsOf = ({ pod }: PodProxy): PodConnections => ({
  inbound: pod.inbound.list().map(({ info }) => ({
    src: formatSocketAddr(info.from),
    originalDst: formatSocketAddr(info.to),
    actualDst: formatSocketAddr(info.to),
    protocol: info.protocol,
  })),
  outbound: pod.outbound.list().map(({ info }) => ({
    src: formatSocketAddr(info.from),
    originalDst: formatSocketAddr(info.originalDst),
    actualDst: formatSocketAddr(info.actualDst),
    protocol: info.protocol,
  })),
});

export const createServedPods = ({ index, config, loads }: ThreadSetup, shared: Shared): ServedPods => {
  const identities = createIdentities(shared.certs);
  const pods = new Map<number, Served>();
  const handover: Handover = createHandover({
    self: index,
    loads: new Int32Array(loads),
    serve: ({ key, listener }, open) => pods.get(key)?.proxy?.take(listener, open) ?? false,
    onError: (e) => shared.log.error("a connection could not be passed on", { error: e.message }),
  });

  const place = (key: number, listener: TrafficListener): Place => ({ key, listener, ...KIND[listener] });

  const start = (about: PodDescription): Served => {
    const fds = ownFds(about.listeners);
    const netns = borrowed(about.netns);
    const hold = identities.hold(about.identity);
    const places = new Map(TRAFFIC.map((name) => [name, place(about.key, name)]));
    const placeOf = (listener: TrafficListener): Place => places.get(listener) ?? place(about.key, listener);
    const keep = (listener: TrafficListener, socket: Socket): boolean =>
      handover.keep(placeOf(listener), socket, served.balanced ? "pass-on" : "only-keep");
    const over = (listener: TrafficListener): void => handover.over(placeOf(listener));
    const starting = startPodProxy(
      { uid: about.uid, who: about.who, identity: about.identity, netns, fds, keep, over, onlyPort: about.onlyPort },
      config,
      shared.proxyDeps,
    );
    const end = (): void => {
      served.proxy?.close();
      hold[Symbol.dispose]();
      netns.end();
    };
    const served: Served = { about, starting, proxy: undefined, balanced: false, end };
    return served;
  };

  const serve = async (about: PodDescription): Promise<void> => {
    const known = pods.get(about.key);
    const served = known ?? start(about);
    pods.set(about.key, served);
    try {
      served.proxy = await served.starting;
    } catch (e) {
      if (known === undefined) {
        pods.delete(about.key);
        served.end();
      }
      throw e;
    }
  };

  const stop = async (key: number): Promise<void> => {
    const served = pods.get(key);
    if (served === undefined) return;
    // Whatever its start becomes: what it holds then is closed.
    await served.starting.catch(() => undefined);
    pods.delete(key);
    served.end();
  };

  return {
    serve,
    stop,
    proxy: (key) => pods.get(key)?.proxy,
    balance: (key) => {
      const served = pods.get(key);
      if (served !== undefined) served.balanced = true;
    },
    list: () => [...pods.values()],
    connections: () =>
      Object.fromEntries([...pods.values()].flatMap((s) => (s.proxy === undefined ? [] : [[s.about.uid, connectionsOf(s.proxy)]]))),
    handover,
  };
};
