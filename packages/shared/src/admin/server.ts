// How does a component answer its operator, on loopback only?

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Result } from "../runtime/result.ts";
import { type HttpListener, listenHttp } from "./listen.ts";

export type AdminRequest = { readonly method: string; readonly query: URLSearchParams };

export type AdminReply =
  | { readonly json: unknown; readonly status?: number }
  | { readonly text: string; readonly status?: number; readonly contentType?: string };

export type AdminRoute = {
  /** GET unless said otherwise. HEAD is answered wherever GET is. */
  readonly methods?: readonly ("GET" | "POST")[];
  /** One line for the index page. */
  readonly about: string;
  handle(request: AdminRequest): AdminReply | Promise<AdminReply>;
};

/** Path to route, matched exactly. "/" lists the routes unless given. */
export type AdminRoutes = Readonly<Record<string, AdminRoute>>;

/** A mistake of the caller, told in one sentence with the status. Anything else thrown becomes a 500 with its message. */
export class AdminError extends Error {
  override readonly name = "AdminError";
  readonly status: number;

  constructor(status: number, sentence: string) {
    super(sentence);
    this.status = status;
  }
}

/** The query parameter; AdminError 400 when it is missing. */
export const requiredParam = (request: AdminRequest, name: string): string => {
  const value = request.query.get(name);
  if (value === null || value === "") throw new AdminError(400, `the query parameter "${name}" is missing`);
  return value;
};

/** The value of the named parameter; AdminError 400 when it could not be read. */
export const readParam = <T>(name: string, read: Result<T>): T => {
  if (!read.ok) throw new AdminError(400, `${name}: ${read.error}`);
  return read.value;
};

const index = (routes: AdminRoutes): AdminReply => ({
  text: `${Object.entries(routes)
    .map(([path, r]) => `${path} (${(r.methods ?? ["GET"]).join(", ")}): ${r.about}`)
    .join("\n")}\n`,
});

const answer = async (routes: AdminRoutes, req: IncomingMessage): Promise<AdminReply> => {
  const url = new URL(req.url ?? "/", "http://localhost");
  const method = req.method === "HEAD" ? "GET" : (req.method ?? "GET");
  const route = Object.hasOwn(routes, url.pathname) ? routes[url.pathname] : undefined;
  if (route === undefined) {
    if (url.pathname === "/") return index(routes);
    throw new AdminError(404, `there is nothing at ${url.pathname}; / lists what there is`);
  }
  const methods: readonly string[] = route.methods ?? ["GET"];
  if (!methods.includes(method)) throw new AdminError(405, `${url.pathname} wants ${methods.join(" or ")}, not ${method}`);
  return route.handle({ method, query: url.searchParams });
};

const failure = (e: unknown): AdminReply => ({
  status: e instanceof AdminError ? e.status : 500,
  text: `${e instanceof Error ? e.message : String(e)}\n`,
});

const send = (res: ServerResponse, r: AdminReply): void => {
  const [type, body] =
    "json" in r ? ["application/json", `${JSON.stringify(r.json, null, 2)}\n`] : [r.contentType ?? "text/plain; charset=utf-8", r.text];
  res.writeHead(r.status ?? 200, { "content-type": type, "content-length": Buffer.byteLength(body) }).end(body);
};

/** Serves the routes on 127.0.0.1. A rejected promise means the port is taken. */
export const serveAdmin = (port: number, routes: AdminRoutes): Promise<HttpListener> =>
  listenHttp(
    { host: "127.0.0.1", port },
    createServer((req, res) => {
      req.resume(); // nothing here takes a body
      answer(routes, req)
        .then((r) => send(res, r))
        .catch((e: unknown) => send(res, failure(e)));
    }),
  );
