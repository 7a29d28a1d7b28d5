// How does a small HTTP server start and end, with nothing left open?

import type { Server } from "node:http";

export type ListenAt = {
  /** Every address of both families when absent. */
  readonly host?: string;
  /** 0 lets the kernel choose. */
  readonly port: number;
};

export type HttpListener = AsyncDisposable & {
  readonly port: number;
  /** Stops listening and ends idle and running connections. */
  close(): Promise<void>;
};

/** Resolves when the server listens; rejects with a sentence when it cannot (port in use, no permission). */
export const listenHttp = (at: ListenAt, server: Server): Promise<HttpListener> =>
  new Promise((resolve, reject) => {
    const where = `${at.host ?? "*"}:${at.port}`;
    server.once("error", (e) => reject(new Error(`cannot listen on ${where}: ${e.message}`, { cause: e })));
    server.listen({ port: at.port, ...(at.host === undefined ? {} : { host: at.host }) }, () => {
      server.removeAllListeners("error");
      const address = server.address();
      const close = (): Promise<void> =>
        new Promise((done) => {
          server.close(() => done());
          server.closeAllConnections();
        });
      resolve({ port: typeof address === "object" && address !== null ? address.port : at.port, close, [Symbol.asyncDispose]: close });
    });
  });
