// How does one request reach the API server: connections, TLS, credentials, answers whole or as a stream?

import { Agent, type Dispatcher } from "undici";
import type { World } from "../runtime/world.ts";
import type { KubeConfig } from "./config.ts";
import { KubeError, kubeErrorFrom } from "./error.ts";

export type KubeRequest = {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
};

export type KubeConnection = {
  /** The decoded answer; throws KubeError for any status but 2xx. */
  request(req: KubeRequest): Promise<unknown>;
  /** The body as it comes, for as long as it comes. Throws KubeError for any status but 2xx. */
  stream(req: KubeRequest): Promise<AsyncIterable<Buffer>>;
  close(): Promise<void>;
};

const REQUEST_MS = 60_000;
const MAX_RETRIES = 4;

/** Opens no connection yet. Keeps connections alive and opens new ones with freshly read TLS files after a TLS failure. */
export const connectKube = (config: KubeConfig, world: World): KubeConnection => {
  const origin = new URL(config.server);
  const prefix = origin.pathname.replace(/\/+$/, "");
  let agent: Agent | undefined;
  const current = (): Agent => {
    agent ??= new Agent({
      allowH2: false, // one watch, one connection: no head-of-line blocking between watches
      keepAliveTimeout: 30_000,
      connect: { ...config.tls(), timeout: 10_000, keepAlive: true, keepAliveInitialDelay: 15_000 },
    });
    return agent;
  };

  const send = async (req: KubeRequest, bodyTimeout: number): Promise<Dispatcher.ResponseData> => {
    const query = new URLSearchParams();
    for (const [k, v] of Object.entries(req.query ?? {})) if (v !== undefined) query.set(k, String(v));
    const search = query.size === 0 ? "" : `?${query}`;
    const using = current();
    try {
      return await using.request({
        origin: origin.origin,
        path: `${prefix}${req.path}${search}`,
        method: req.method,
        headers: {
          accept: "application/json",
          "user-agent": "ambit",
          ...(await config.headers()),
          ...(req.body === undefined ? {} : { "content-type": req.contentType ?? "application/json" }),
        },
        body: req.body === undefined ? null : JSON.stringify(req.body),
        signal: req.signal ?? null,
        headersTimeout: REQUEST_MS,
        bodyTimeout,
      });
    } catch (cause) {
      if (agent === using && isTlsFailure(cause)) {
        agent = undefined; // the CA or the client certificate may have been replaced: read them again
        void using.close();
      }
      throw req.signal?.aborted === true ? req.signal.reason : unreachable(config.server, cause);
    }
  };

  const refused = async (req: KubeRequest, answer: Dispatcher.ResponseData): Promise<KubeError> => {
    const text = await answer.body.text();
    const retryAfter = answer.headers["retry-after"];
    return kubeErrorFrom(`${req.method} ${req.path}`, {
      status: answer.statusCode,
      body: parseOrText(text),
      retryAfter: typeof retryAfter === "string" ? retryAfter : undefined,
    });
  };

  const attempt = async (req: KubeRequest): Promise<unknown> => {
    const answer = await send(req, REQUEST_MS);
    if (!isSuccess(answer)) throw await refused(req, answer);
    const text = await answer.body.text();
    if (text === "") return undefined;
    const body = parseOrText(text);
    if (typeof body === "string") throw new Error(`${req.method} ${req.path}: the API server answered something that is not JSON`);
    return body;
  };

  return {
    request: async (req) => {
      for (let tries = 0; ; tries++) {
        try {
          return await attempt(req);
        } catch (error) {
          const waitMs = retryAfterMs(req, error, tries);
          if (waitMs === undefined) throw error;
          await world.sleep(waitMs, req.signal);
        }
      }
    },
    stream: async (req) => {
      const answer = await send(req, 0);
      if (!isSuccess(answer)) throw await refused(req, answer);
      return answer.body as AsyncIterable<Buffer>;
    },
    close: async () => {
      const old = agent;
      agent = undefined;
      await old?.destroy();
    },
  };
};

/** The server asks for patience (429, or 503 with Retry-After), or a kept-alive connection turned out dead under a read. */
const retryAfterMs = (req: KubeRequest, error: unknown, tries: number): number | undefined => {
  if (tries >= MAX_RETRIES) return undefined;
  if (error instanceof KubeError)
    return (error.status === 429 || error.status === 503) && error.retryAfterSeconds !== undefined
      ? Math.min(30, error.retryAfterSeconds) * 1000
      : undefined;
  return tries === 0 && req.method === "GET" && req.signal?.aborted !== true && causeCode(error) === "UND_ERR_SOCKET" ? 0 : undefined;
};

const isSuccess = (answer: Dispatcher.ResponseData): boolean => answer.statusCode >= 200 && answer.statusCode < 300;

const parseOrText = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text; // not JSON is an answer too (a proxy's page); callers decide what it means
  }
};

const codeOf = (error: unknown): string => (error instanceof Error && "code" in error ? String(error.code) : "");
const causeCode = (error: unknown): string => (error instanceof Error ? codeOf(error) || codeOf(error.cause) : "");

const isTlsFailure = (error: unknown): boolean =>
  /^(ERR_TLS|ERR_SSL|CERT_|SELF_SIGNED|UNABLE_TO|DEPTH_ZERO|ERR_OSSL)/.test(causeCode(error));

const unreachable = (server: string, cause: unknown): Error => {
  const text =
    cause instanceof AggregateError ? cause.errors.map((e) => (e instanceof Error ? e.message : String(e))).join(", ") : undefined;
  return new Error(`cannot reach the API server at ${server}: ${text ?? (cause instanceof Error ? cause.message : String(cause))}`, {
    cause,
  });
};
