// Which user does a connection's certificate or a request's token and headers make?

import type { TLSSocket } from "node:tls";
import { API_AUDIENCES, readToken } from "../jwt/token.ts";
import { forbidden, unauthorized } from "../model/errors.ts";
import type { Api } from "../rest/api.ts";
import { authorize } from "./rbac.ts";
import { tokenUser } from "./service-account.ts";
import { ANONYMOUS, certificateUser, impersonated, type User } from "./user.ts";

export type Headers = { readonly [name: string]: string | readonly string[] | undefined };

export type PeerCertificate = { readonly kind: "none" } | { readonly kind: "invalid" } | { readonly kind: "user"; readonly user: User };

const texts = (v: unknown): string[] => (typeof v === "string" ? [v] : Array.isArray(v) ? v.filter((x) => typeof x === "string") : []);

/** Read once per connection: a certificate that our CA did not sign for client use is no credential but a failure. */
export const peerCertificate = (socket: Pick<TLSSocket, "authorized" | "getPeerCertificate">): PeerCertificate => {
  const { subject } = socket.getPeerCertificate();
  if (subject === undefined || subject === null) return { kind: "none" };
  const [name] = texts(subject.CN);
  return socket.authorized && name !== undefined && name !== ""
    ? { kind: "user", user: certificateUser(name, texts(subject.O)) }
    : { kind: "invalid" };
};

/** Paths anyone may read, so that a probe needs no credentials. */
const PUBLIC: ReadonlySet<string> = new Set(["/healthz", "/livez", "/readyz", "/version"]);

const one = (v: Headers[string]): string | undefined => (typeof v === "string" ? v : v?.[0]);

const bearer = (headers: Headers): string | undefined => /^Bearer\s+(\S+)$/i.exec(one(headers.authorization) ?? "")?.[1];

const direct = (peer: PeerCertificate, { headers, path }: { headers: Headers; path: string }, api: Api): User => {
  // A bearer token is what the client chose to say for this request; kube-apiserver asks the certificate first.
  if (peer.kind === "user") return peer.user;
  if (peer.kind === "invalid") throw unauthorized();
  const token = bearer(headers);
  if (token === undefined) {
    if (headers.authorization !== undefined || !PUBLIC.has(path)) throw unauthorized();
    return ANONYMOUS;
  }
  const claims = readToken(token, api.tokenKey, api.world.now() / 1000);
  if (!claims.ok) throw unauthorized();
  const found = tokenUser(claims.value, API_AUDIENCES, api.store.committed);
  if (!found.ok) throw unauthorized();
  return found.value.user;
};

const EXTRA = "impersonate-extra-";

/** The user of a request. Throws 401 without valid credentials, 403 for an impersonation that is not allowed. */
export const authenticate = (peer: PeerCertificate, request: { headers: Headers; path: string }, api: Api): User => {
  const user = direct(peer, request, api);
  const { headers } = request;
  const name = one(headers["impersonate-user"]);
  if (name === undefined) return user;
  const groups = texts(headers["impersonate-group"])
    .flatMap((g) => g.split(","))
    .map((g) => g.trim());
  const wanted = [{ resource: "users", name }, ...groups.map((g) => ({ resource: "groups", name: g }))];
  for (const w of wanted) {
    const attributes = { kind: "resource", verb: "impersonate", group: "", ...w } as const;
    if (!authorize(user, attributes, api.store.committed).allowed)
      throw forbidden(
        { group: "", resource: w.resource },
        w.name,
        `User ${JSON.stringify(user.name)} cannot impersonate resource ${JSON.stringify(w.resource)} in API group "" at the cluster scope`,
      );
  }
  const extra = Object.entries(headers).filter(([k]) => k.startsWith(EXTRA));
  // Extra fields are attributes that others decide by (a pod's node); only superusers may make them up.
  if (extra.length > 0 && !user.groups.includes("system:masters"))
    throw forbidden(
      { group: "authentication.k8s.io", resource: "userextras" },
      undefined,
      "only system:masters may impersonate extra fields",
    );
  return impersonated(
    name,
    groups,
    extra.length === 0 ? undefined : Object.fromEntries(extra.map(([k, v]) => [decodeURIComponent(k.slice(EXTRA.length)), texts(v)])),
  );
};
