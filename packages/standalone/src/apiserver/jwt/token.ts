// What does a ServiceAccount token say, and is it ours? (RFC 7519, ES256 of RFC 7518 §3.4)

import { createHash, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { err, ok, type Result } from "@ambit/shared/runtime/result.ts";
import { isObject, type JsonObject, obj, str, strings } from "../model/object.ts";

export const ISSUER = "https://kubernetes.default.svc.cluster.local";
/** Audiences that mean this API server itself; the first is the default. */
export const API_AUDIENCES: readonly string[] = ["https://kubernetes.default.svc", ISSUER];

export type BoundObject = { readonly name: string; readonly uid: string };

export type Claims = {
  readonly audiences: readonly string[];
  readonly namespace: string;
  readonly serviceAccount: BoundObject;
  readonly pod?: BoundObject;
  readonly node?: BoundObject;
  readonly secret?: BoundObject;
  /** Seconds since the epoch. */
  readonly issuedAt: number;
  readonly expires: number;
  readonly id: string;
};

const encode = (v: unknown): string => Buffer.from(JSON.stringify(v)).toString("base64url");

/** RFC 7638 thumbprint of the public key. */
export const keyIdOf = (key: KeyObject): string => {
  const { crv, kty, x, y } = createPublicKey(key).export({ format: "jwk" });
  return createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url");
};

/** The key set that a third party verifies our tokens by. */
export const jwks = (key: KeyObject): JsonObject => ({
  keys: [{ use: "sig", alg: "ES256", kid: keyIdOf(key), ...createPublicKey(key).export({ format: "jwk" }) }],
});

export const signToken = (c: Claims, key: KeyObject): string => {
  const head = encode({ alg: "ES256", kid: keyIdOf(key), typ: "JWT" });
  const body = encode({
    aud: c.audiences,
    exp: c.expires,
    iat: c.issuedAt,
    nbf: c.issuedAt,
    iss: ISSUER,
    jti: c.id,
    sub: `system:serviceaccount:${c.namespace}:${c.serviceAccount.name}`,
    "kubernetes.io": {
      namespace: c.namespace,
      serviceaccount: c.serviceAccount,
      ...(c.pod === undefined ? {} : { pod: c.pod }),
      ...(c.node === undefined ? {} : { node: c.node }),
      ...(c.secret === undefined ? {} : { secret: c.secret }),
    },
  });
  const signature = sign("sha256", Buffer.from(`${head}.${body}`), { key, dsaEncoding: "ieee-p1363" });
  return `${head}.${body}.${signature.toString("base64url")}`;
};

const bound = (v: unknown): BoundObject | undefined => {
  const [name, uid] = [str(obj(v).name), str(obj(v).uid)];
  return name === undefined || uid === undefined ? undefined : { name, uid };
};

const parseJson = (part: string): unknown => {
  try {
    return JSON.parse(Buffer.from(part, "base64url").toString());
  } catch (e) {
    if (e instanceof SyntaxError) return undefined;
    throw e;
  }
};

const claimsOf = (body: unknown): Claims | undefined => {
  if (!isObject(body)) return undefined;
  const k = obj(body["kubernetes.io"]);
  const serviceAccount = bound(k.serviceaccount);
  const { namespace } = k;
  const { exp, iat, jti, aud } = body;
  if (serviceAccount === undefined || typeof namespace !== "string" || typeof exp !== "number" || typeof iat !== "number") return undefined;
  const [pod, node, secret] = [bound(k.pod), bound(k.node), bound(k.secret)];
  // A binding that is there but cannot be read must not read as no binding.
  if ((k.pod !== undefined && pod === undefined) || (k.secret !== undefined && secret === undefined)) return undefined;
  return {
    audiences: typeof aud === "string" ? [aud] : strings(aud),
    namespace,
    serviceAccount,
    ...(pod === undefined ? {} : { pod }),
    ...(node === undefined ? {} : { node }),
    ...(secret === undefined ? {} : { secret }),
    issuedAt: iat,
    expires: exp,
    id: str(jti) ?? "",
  };
};

/** Signature, issuer and time. `now` is in seconds since the epoch. Whether what it is bound to still exists is asked elsewhere. */
export const readToken = (token: string, key: KeyObject, now: number): Result<Claims> => {
  const [head = "", body = "", signature = "", ...more] = token.split(".");
  const header = obj(parseJson(head));
  if (more.length > 0 || header.alg !== "ES256") return err("the token is no ES256 JWT");
  const good = verify(
    "sha256",
    Buffer.from(`${head}.${body}`),
    { key: createPublicKey(key), dsaEncoding: "ieee-p1363" },
    Buffer.from(signature, "base64url"),
  );
  if (!good) return err("the token's signature is not valid");
  const parsed = obj(parseJson(body));
  if (parsed.iss !== ISSUER) return err("the token has another issuer");
  const claims = claimsOf(parsed);
  if (claims === undefined) return err("the token's claims are not a ServiceAccount's");
  if (claims.expires <= now) return err("the token has expired");
  if (typeof parsed.nbf === "number" && parsed.nbf > now + 30) return err("the token is not valid yet");
  return ok(claims);
};
