// How does a running ztunnel hand its pods' listening sockets to the one that replaces it?

import { join } from "node:path";
import type { NetnsIdentity } from "@ambit/shared/linux/netns.ts";
import { sameNetns } from "@ambit/shared/linux/netns.ts";
import { createSeqpacketConnection, createSeqpacketServer, type SeqpacketConnection } from "@ambit/shared/linux/seqpacket.ts";
import { closeFd } from "@ambit/shared/linux/socket.ts";
import { peerUid } from "@ambit/shared/linux/socket-facts.ts";
import type { World } from "@ambit/shared/runtime/world.ts";
import type { ScopedLogger } from "@ambit/shared/telemetry/log.ts";
import type { Listening } from "../inpod/listeners.ts";
import { decodeAsk, encodeAnswer, MAX_MESSAGE } from "./messages.ts";
import { offerName } from "./names.ts";

/** What one packet may carry. */
const FDS_PER_PACKET = 16;

export type Offered = { readonly netns: NetnsIdentity; readonly listening: readonly Listening[] };

export type OfferOptions = {
  /** The directory that all ztunnels of the node share. */
  readonly dir: string;
  readonly world: Pick<World, "now" | "random">;
  readonly log: ScopedLogger;
  /** The pod's sockets now. Read and sent in one turn: the fds must stay open only so long. */
  readonly current: (uid: string) => Offered | undefined;
};

export type Offer = Disposable & { readonly path: string; close(): void };

const packets = (fds: readonly number[]): readonly (readonly number[])[] =>
  Array.from({ length: Math.max(1, Math.ceil(fds.length / FDS_PER_PACKET)) }, (_, i) =>
    fds.slice(i * FDS_PER_PACKET, (i + 1) * FDS_PER_PACKET),
  );

const serve = (connection: SeqpacketConnection, bytes: Uint8Array, { current, log }: OfferOptions): void => {
  const failed = (e: unknown): void => log.warn("a successor could not be answered", { error: e instanceof Error ? e.message : String(e) });
  const ask = decodeAsk(bytes);
  if (!ask.ok) {
    connection.send(encodeAnswer({ kind: "refused", why: ask.error })).catch(failed);
    return;
  }
  const { uid } = ask.value;
  const offered = current(uid);
  const fds = offered !== undefined && sameNetns(offered.netns, ask.value) ? offered.listening.map((l) => l.fd) : [];
  const parts = packets(fds);
  // The kernel has its own reference once a packet is sent; all are sent before anything else can run, as the buffer is large.
  for (const [i, part] of parts.entries())
    connection.send(encodeAnswer({ kind: "sockets", uid, left: parts.length - 1 - i }), part).catch(failed);
  if (fds.length > 0) log.info("listening sockets handed to the next ztunnel", { uid, sockets: fds.length });
};

/** Listens for successors until closed. Throws LinuxError when the directory cannot be written to. */
export const offerListeners = (options: OfferOptions): Offer => {
  const { log, world } = options;
  const path = join(options.dir, offerName(world.now(), world.random));
  const successors = new Set<SeqpacketConnection>();
  const own = process.geteuid?.();
  const server = createSeqpacketServer(
    path,
    (fd) => {
      const uid = peerUid(fd);
      if (uid !== own) {
        log.warn("a process of another user asked for listening sockets and was refused", { uid });
        closeFd(fd);
        return;
      }
      const connection: SeqpacketConnection = createSeqpacketConnection(fd, {
        maxBytes: MAX_MESSAGE,
        onMessage: ({ bytes, fds }) => {
          for (const stray of fds) closeFd(stray);
          serve(connection, bytes, options);
        },
        onClose: () => void successors.delete(connection),
      });
      successors.add(connection);
    },
    0o600,
  );
  const close = (): void => {
    server.close();
    for (const c of [...successors]) c.close();
  };
  return { path, close, [Symbol.dispose]: close };
};
