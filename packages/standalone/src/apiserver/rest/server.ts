// How does HTTP (1.1 and 2, with upgrades) become exchanges, and how do failures become answers?

import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createSecureServer, type Http2SecureServer, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { authenticate, type Headers, type PeerCertificate, peerCertificate } from "../auth/accept.ts";
import type { User } from "../auth/user.ts";
import type { KeyAndCertificate } from "../ca/store.ts";
import { createNonResourceHandler } from "../discovery/serve.ts";
import { connectUpgrade } from "../kubelet/connect.ts";
import { kubeletTarget } from "../kubelet/target.ts";
import { ApiError, badRequest, internal, statusOf } from "../model/errors.ts";
import type { Api, Exchange, Outgoing } from "./api.ts";
import { asApiError, requireAllowed } from "./apply.ts";
import { parsePath } from "./path.ts";
import { serveResource } from "./serve.ts";

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;

/** As etcd's default request limit, which Kubernetes' clients know. */
const BODY_LIMIT = 3 * 1024 * 1024;

const bodyOf = async (req: Request): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    size += bytes.length;
    if (size > BODY_LIMIT) throw new ApiError(413, "RequestEntityTooLarge", `Request entity too large: limit is ${BODY_LIMIT}`, {});
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
};

const outgoing = (res: Response): Outgoing => ({
  write: (chunk) => (chunk.length === 0 ? true : (res.write as (c: string | Uint8Array) => boolean)(chunk)),
  backlog: () => res.writableLength,
  drained: async () => {
    await Promise.race([once(res, "drain"), once(res, "close")]);
  },
  end: () => void res.end(),
  abort: () => void ("stream" in res ? res.stream.destroy() : res.destroy()),
});

/** Quotes text for the Warning header (RFC 9110 quoted-string; line breaks cannot stand there). */
const warning = (text: string): string => `299 - "${text.replace(/[\r\n]+/g, " ").replace(/[\\"]/g, "\\$&")}"`;

const isLatin1 = (text: string): boolean => /^[\x20-\x7e]*$/.test(text);

const exchangeOf = (req: Request, res: Response, { user, url, signal }: { user: User; url: URL; signal: AbortSignal }): Exchange => {
  const warnings: string[] = [];
  const head = (code: number, headers: { readonly [name: string]: string }): void => {
    const shown = [...new Set(warnings)].map(warning).filter(isLatin1);
    const all: { [name: string]: string | string[] } = { "cache-control": "no-cache, private", ...headers };
    if (shown.length > 0) all.warning = shown;
    (res.writeHead as (c: number, h: { [name: string]: string | string[] }) => unknown)(code, all);
  };
  const finish = (code: number, body: string | Uint8Array, headers: { readonly [name: string]: string }): void => {
    if (res.headersSent || signal.aborted) return;
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    head(code, code === 304 ? headers : { ...headers, "content-length": String(bytes.length) });
    (res.end as (c?: Uint8Array) => unknown)(req.method === "HEAD" || code === 304 ? undefined : bytes);
  };
  return {
    method: req.method ?? "GET",
    url,
    user,
    signal,
    header: (name) => {
      const v = req.headers[name];
      return Array.isArray(v) ? v.join(",") : v;
    },
    body: () => bodyOf(req),
    send: (code, text, headers = {}) => finish(code, text, headers),
    sendBytes: (code, bytes, headers) => finish(code, bytes, headers),
    stream: (code, headers) => {
      head(code, headers);
      if ("flushHeaders" in res) res.flushHeaders();
      return outgoing(res);
    },
    warn: (text) => void warnings.push(text),
  };
};

const JSON_TYPE = { "content-type": "application/json" };

/** Certificates are read once per connection: by session for HTTP/2, by socket for HTTP/1.1. */
const createPeers = () => {
  const peers = new WeakMap<object, PeerCertificate>();
  return (req: Request): PeerCertificate => {
    const owner: object | undefined = "stream" in req ? req.stream.session : req.socket;
    const socket = "stream" in req ? req.stream.session?.socket : req.socket;
    if (owner === undefined || socket === undefined) return { kind: "none" };
    const have = peers.get(owner);
    if (have !== undefined) return have;
    const made = peerCertificate(socket as TLSSocket); // every connection of this server is TLS
    peers.set(owner, made);
    return made;
  };
};

const urlOf = (req: Request): URL => {
  const url = URL.parse(req.url ?? "/", "https://apiserver");
  if (url === null) throw badRequest("the request's URL cannot be parsed");
  return url;
};

export type Listener = {
  /** A TLS server for one listening socket; all servers share handlers and state. */
  server(): Http2SecureServer;
  /** Resolves when every request in hand has been answered. */
  quiet(): Promise<unknown>;
};

export const createListener = (api: Api, tls: { caPem: string; server: KeyAndCertificate }): Listener => {
  const peerOf = createPeers();
  const nonResource = createNonResourceHandler(api);
  const inHand = new Set<Promise<void>>();
  const follow = (request: Promise<void>): void => {
    const settled = request.finally(() => inHand.delete(settled));
    inHand.add(settled);
  };

  const failed = (x: Pick<Exchange, "send">, e: unknown, about: { method: string | undefined; url: string | undefined }): void => {
    const known = asApiError(e);
    if (known === undefined) api.log("request failed", { ...about, error: e instanceof Error ? (e.stack ?? e.message) : String(e) });
    const shown = known ?? internal("the server failed to answer; its log says why", e);
    const retry = shown.details?.retryAfterSeconds;
    x.send(shown.code, JSON.stringify(statusOf(shown)), { ...JSON_TYPE, ...(retry === undefined ? {} : { "retry-after": String(retry) }) });
  };

  const handle = async (req: Request, res: Response): Promise<void> => {
    const gone = new AbortController();
    res.once("close", () => gone.abort());
    const signal = AbortSignal.any([gone.signal, api.stopping]);
    const bare = exchangeOf(req, res, { user: { name: "", groups: [] }, url: new URL("https://apiserver/"), signal: gone.signal });
    try {
      const url = urlOf(req);
      const user = authenticate(peerOf(req), { headers: req.headers as Headers, path: url.pathname }, api);
      const x = exchangeOf(req, res, { user, url, signal: gone.signal });
      const path = parsePath(url.pathname);
      if (path.kind === "resource") await serveResource({ ...x, signal }, path, api);
      else nonResource(x);
    } catch (e) {
      if (gone.signal.aborted) return; // nobody is left to be told
      if (res.headersSent) {
        // Half an answer went out; only a cut connection says that it is not whole.
        api.log("answer cut", { url: req.url, error: String(e) });
        outgoing(res).abort();
      } else failed(bare, e, { method: req.method, url: req.url });
    }
  };

  const upgrade = async (req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const send = (code: number, text: string): void => {
      const bytes = Buffer.from(text);
      socket.end(
        `HTTP/1.1 ${code} ${code}\r\nContent-Type: application/json\r\nContent-Length: ${bytes.length}\r\nConnection: close\r\n\r\n${text}`,
      );
    };
    socket.on("error", () => socket.destroy());
    try {
      const url = urlOf(req);
      const path = parsePath(url.pathname);
      const user = authenticate(peerOf(req), { headers: req.headers as Headers, path: url.pathname }, api);
      const streamed =
        path.kind === "resource" &&
        path.group === "" &&
        path.resource === "pods" &&
        ["exec", "attach", "portforward"].includes(path.subresource ?? "");
      if (path.kind !== "resource" || !streamed)
        throw badRequest("only pods/exec, pods/attach and pods/portforward take an upgraded connection");
      const { namespace = "", name = "", subresource = "" } = path;
      const verb = req.method === "POST" ? "create" : "get";
      requireAllowed({ user }, { kind: "resource", verb, group: "", resource: "pods", subresource, namespace, name }, api);
      const target = kubeletTarget({ namespace, name, subresource, query: url.searchParams }, api.store.committed);
      await connectUpgrade(req, { socket, head }, target);
    } catch (e) {
      failed({ send }, e, { method: req.method, url: req.url });
    }
  };

  return {
    quiet: () => Promise.all(inHand),
    server: () => {
      const server = createSecureServer({
        key: tls.server.keyPem,
        cert: tls.server.certificatePem,
        ca: [tls.caPem],
        requestCert: true,
        rejectUnauthorized: false, // judged per request, so that a client reads a 401 and not a broken handshake
        minVersion: "TLSv1.2",
        allowHTTP1: true,
        http1Options: { keepAliveTimeout: 120_000 }, // an idle client's next request must not meet a connection that is just closing
        maxSessionMemory: 100, // MB: one HTTP/2 connection carries all of a client's lists and watches
        settings: { maxConcurrentStreams: 1000 },
      });
      server.on("request", (req, res) => follow(handle(req, res)));
      server.on("upgrade", (req: IncomingMessage, socket: Duplex, head: Buffer) => void upgrade(req, socket, head));
      return server;
    },
  };
};
