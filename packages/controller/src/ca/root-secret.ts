// How does the state of the mesh's own root stand in its Secret? (istio-ca-secret)

import { X509Certificate } from "node:crypto";
import { ANNOTATION, KEYS } from "@ambit/shared/ca/root-secret.ts";
import type { Secret } from "@ambit/shared/kube/objects/core.ts";
import { durationMs } from "@ambit/shared/runtime/env.ts";
import { err, mapOk, ok, type Result } from "@ambit/shared/runtime/result.ts";
import { checkPair } from "./authority.ts";
import { type Phase, type RootState, trustedRoots } from "./rotation.ts";

const decode = (secret: Secret, key: string): string => Buffer.from(secret.data?.[key] ?? "", "base64").toString("utf8");
const encode = (text: string): string => Buffer.from(text, "utf8").toString("base64");

const timeOf = (secret: Secret): Result<number> => {
  const text = secret.metadata.annotations?.[ANNOTATION.until] ?? "";
  const ms = Date.parse(text);
  return Number.isNaN(ms)
    ? err(`annotation ${ANNOTATION.until} is ${JSON.stringify(text)}: want a time such as 2026-01-31T12:00:00Z`)
    : ok(ms);
};

const lasts = (secret: Secret, name: string): Result<number | undefined> => {
  const text = secret.metadata.annotations?.[name];
  if (text === undefined || text === "") return ok(undefined);
  const ms = durationMs(text);
  return ms.ok ? ms : err(`annotation ${name} is ${JSON.stringify(text)}: ${ms.error}`);
};

const phaseOf = (secret: Secret, now: number): Result<Phase> => {
  const kind = secret.metadata.annotations?.[ANNOTATION.phase] ?? "steady";
  if (kind === "steady") return ok({ kind });
  const until = timeOf(secret);
  if (!until.ok) return until;
  if (kind === "introducing") {
    const next = { certPem: decode(secret, KEYS.nextCert), keyPem: decode(secret, KEYS.nextKey) };
    return mapOk(checkPair(next, now, { cert: KEYS.nextCert, key: KEYS.nextKey }), () => ({ kind, next, until: until.value }));
  }
  if (kind !== "retiring") return err(`annotation ${ANNOTATION.phase} is ${JSON.stringify(kind)}: want steady, introducing or retiring`);
  const old = { certPem: decode(secret, KEYS.oldCert), keyPem: decode(secret, KEYS.oldKey) };
  // It may well have expired: that is one reason to retire it.
  return mapOk(checkPair(old, 0, { cert: KEYS.oldCert, key: KEYS.oldKey }), () => ({ kind, old, until: until.value }));
};

/** The state; or a sentence that names the Secret and what is wrong with it: a CA is never made up in place of one that cannot be read. */
export const readRootState = (secret: Secret, now: number): Result<RootState> => {
  const where = `Secret ${secret.metadata.namespace}/${secret.metadata.name}`;
  const signer = { certPem: decode(secret, KEYS.cert), keyPem: decode(secret, KEYS.key) };
  if (signer.certPem === "" || signer.keyPem === "") return err(`${where} lacks ${signer.certPem === "" ? KEYS.cert : KEYS.key}`);
  const notAfter = checkPair(signer, now);
  if (!notAfter.ok) return err(`${where}: ${notAfter.error}`);
  const phase = phaseOf(secret, now);
  if (!phase.ok) return err(`${where}: ${phase.error}`);
  const introduce = lasts(secret, ANNOTATION.introduce);
  const retire = lasts(secret, ANNOTATION.retire);
  // A wish that cannot be read must not stop the mesh from having certificates; it is not begun either.
  const asks = introduce.ok && retire.ok;
  const answered = secret.metadata.annotations?.[ANNOTATION.answered] ?? "";
  return ok({
    signer,
    notAfter: notAfter.value,
    notBefore: new X509Certificate(signer.certPem).validFromDate.getTime(),
    phase: phase.value,
    asked: asks ? (secret.metadata.annotations?.[ANNOTATION.asked] ?? "") : answered,
    answered,
    introduceMs: introduce.ok ? introduce.value : undefined,
    retireMs: retire.ok ? retire.value : undefined,
  });
};

/** What is wrong with a rotation that was asked for, if anything. */
export const refusedWish = (secret: Secret): string | undefined => {
  for (const name of [ANNOTATION.introduce, ANNOTATION.retire]) {
    const read = lasts(secret, name);
    if (!read.ok) return read.error;
  }
  return undefined;
};

/** The Secret with the state written into it; what else it holds stays. */
export const withRootState = (secret: Secret, s: RootState): Secret => {
  const { phase } = s;
  const { [KEYS.nextCert]: _c, [KEYS.nextKey]: _k, [KEYS.oldCert]: _o, [KEYS.oldKey]: _q, ...data } = secret.data ?? {};
  const { annotations = {}, ...metadata } = secret.metadata;
  const {
    [ANNOTATION.phase]: _p,
    [ANNOTATION.until]: _u,
    [ANNOTATION.introduce]: introduce,
    [ANNOTATION.retire]: retire,
    ...rest
  } = annotations;
  const wish = {
    ...(introduce === undefined ? {} : { [ANNOTATION.introduce]: introduce }),
    ...(retire === undefined ? {} : { [ANNOTATION.retire]: retire }),
  };
  return {
    ...secret,
    metadata: {
      ...metadata,
      annotations: {
        ...rest,
        ...(phase.kind === "steady"
          ? {}
          : { ...wish, [ANNOTATION.phase]: phase.kind, [ANNOTATION.until]: new Date(phase.until).toISOString() }),
        ...(s.answered === "" ? {} : { [ANNOTATION.answered]: s.answered }),
      },
    },
    data: {
      ...data,
      [KEYS.cert]: encode(s.signer.certPem),
      [KEYS.key]: encode(s.signer.keyPem),
      [KEYS.roots]: encode(trustedRoots(s).join("")),
      ...(phase.kind === "introducing" ? { [KEYS.nextCert]: encode(phase.next.certPem), [KEYS.nextKey]: encode(phase.next.keyPem) } : {}),
      ...(phase.kind === "retiring" ? { [KEYS.oldCert]: encode(phase.old.certPem), [KEYS.oldKey]: encode(phase.old.keyPem) } : {}),
    },
  };
};

export type RevokedEntry = { readonly serial: string; readonly at: number };

/** The serial numbers that are taken back; none where the key is absent. */
export const readRevoked = (secret: Secret): Result<readonly RevokedEntry[]> => {
  const text = decode(secret, KEYS.revoked);
  if (text === "") return ok([]);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return err(`${KEYS.revoked} is not JSON`);
  }
  if (!Array.isArray(parsed)) return err(`${KEYS.revoked} is not a list`);
  const out: RevokedEntry[] = [];
  for (const e of parsed as readonly { serial?: unknown; at?: unknown }[]) {
    const at = Date.parse(String(e?.at));
    if (typeof e?.serial !== "string" || !/^[0-9A-Fa-f]{1,40}$/.test(e.serial) || Number.isNaN(at))
      return err(`${KEYS.revoked} has an entry that is not {"serial": "<hex>", "at": "<time>"}: ${JSON.stringify(e)}`);
    out.push({ serial: e.serial.toUpperCase(), at });
  }
  return ok(out);
};
