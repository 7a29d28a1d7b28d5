// Which certificates does a revocation list take back, and who says so? (RFC 5280 section 5; PEM with several lists, or one in DER)

import { verify, type X509Certificate } from "node:crypto";
import { all, err, ok, type Result } from "../runtime/result.ts";
import { OID } from "./oids.ts";
import { contentOf, hexNumber, oidText, rawOf, TAG, type Tlv, wholeTlv, within } from "./tlv.ts";

export type RevocationList = {
  /** The issuer's name, DER as lower-case hex: equal names have equal bytes. */
  readonly issuer: string;
  /** The key identifier of the issuer's key, lower-case hex, when the list says it. */
  readonly issuerKeyId: string | undefined;
  /** Serial numbers, upper-case hex without leading zeros. */
  readonly revoked: ReadonlySet<string>;
  /** Milliseconds since the epoch. */
  readonly thisUpdate: number;
  readonly nextUpdate: number | undefined;
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
  readonly hash: string;
};

const HASH: Readonly<Record<string, string>> = {
  [OID.ecdsaSha256]: "sha256",
  [OID.ecdsaSha384]: "sha384",
  [OID.rsaSha256]: "sha256",
  [OID.rsaSha384]: "sha384",
  [OID.rsaSha512]: "sha512",
};

const timeOf = (bytes: Uint8Array, v: Tlv | undefined): number | undefined => {
  if (v === undefined || (v.tag !== TAG.utcTime && v.tag !== TAG.generalizedTime)) return undefined;
  const text = Buffer.from(contentOf(bytes, v)).toString("latin1");
  const m = (
    v.tag === TAG.utcTime ? /^(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/ : /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/
  ).exec(text);
  const [y = Number.NaN, mo = 0, d = 0, h = 0, mi = 0, s = 0] = (m ?? []).slice(1).map(Number);
  const year = v.tag === TAG.utcTime ? y + (y < 50 ? 2000 : 1900) : y;
  const ms = Date.UTC(year, mo - 1, d, h, mi, s);
  return Number.isNaN(ms) ? undefined : ms;
};

type Extension = { readonly id: string | undefined; readonly critical: boolean; readonly value: Uint8Array };

const extensionsIn = (bytes: Uint8Array, list: Tlv): Result<Extension[]> => {
  const each = within(bytes, list);
  if (!each.ok) return each;
  return all(
    each.value.map((e): Result<Extension> => {
      const parts = within(bytes, e);
      if (!parts.ok) return parts;
      const value = parts.value.at(-1);
      if (value === undefined || value.tag !== TAG.octetString) return err("it has an extension that cannot be read");
      return ok({ id: oidText(bytes, parts.value[0]), critical: parts.value.length === 3, value: contentOf(bytes, value) });
    }),
  );
};

const refuseCritical = (extensions: readonly Extension[], of: string): Result<undefined> => {
  if (extensions.some((e) => e.id === OID.deltaCrlIndicator)) return err("it is a delta list: only complete lists are taken");
  const critical = extensions.find((e) => e.critical);
  return critical === undefined ? ok(undefined) : err(`${of} has the critical extension ${critical.id}, which is not understood`);
};

const keyIdOf = (extensions: readonly Extension[]): string | undefined => {
  const value = extensions.find((e) => e.id === OID.authorityKeyIdentifier)?.value;
  const outer = value === undefined ? undefined : wholeTlv(value);
  if (value === undefined || outer === undefined) return undefined;
  const parts = within(value, outer);
  const id = parts.ok ? parts.value.find((p) => p.tag === 0x80) : undefined;
  return id === undefined ? undefined : Buffer.from(contentOf(value, id)).toString("hex");
};

const serialsIn = (bytes: Uint8Array, list: Tlv | undefined): Result<Set<string>> => {
  const out = new Set<string>();
  if (list === undefined) return ok(out);
  const entries = within(bytes, list);
  if (!entries.ok) return entries;
  for (const entry of entries.value) {
    const parts = within(bytes, entry);
    const [serial, , more] = parts.ok ? parts.value : [];
    if (serial === undefined || serial.tag !== TAG.integer) return err("it has an entry without a serial number");
    if (more !== undefined) {
      const extensions = extensionsIn(bytes, more);
      const fine = extensions.ok ? refuseCritical(extensions.value, "an entry") : extensions;
      if (!fine.ok) return fine;
    }
    out.add(hexNumber(contentOf(bytes, serial)));
  }
  return ok(out);
};

const NOT_A_LIST = err("it is not a revocation list");

/** One list in DER. Its signature is not looked at here: that needs the issuer's key. */
export const parseCrl = (bytes: Uint8Array): Result<RevocationList> => {
  const outer = wholeTlv(bytes);
  const parts = outer?.tag === TAG.sequence ? within(bytes, outer) : NOT_A_LIST;
  const [tbs, algorithm, signature, ...after] = parts.ok ? parts.value : [];
  if (tbs?.tag !== TAG.sequence || algorithm?.tag !== TAG.sequence || signature?.tag !== TAG.bitString) return NOT_A_LIST;
  if (bytes[signature.from] !== 0 || after.length > 0) return NOT_A_LIST;
  const fields = within(bytes, tbs);
  const named = within(bytes, algorithm);
  if (!fields.ok || !named.ok) return NOT_A_LIST;
  const rest = [...fields.value];
  const take = (...tags: number[]): Tlv | undefined => (tags.includes(rest[0]?.tag ?? -1) ? rest.shift() : undefined);
  take(TAG.integer); // the version
  const inner = take(TAG.sequence);
  const issuer = take(TAG.sequence);
  const thisUpdate = timeOf(bytes, take(TAG.utcTime, TAG.generalizedTime));
  const nextUpdate = timeOf(bytes, take(TAG.utcTime, TAG.generalizedTime));
  const entries = take(TAG.sequence);
  const extra = take(0xa0);
  if (inner === undefined || issuer === undefined || thisUpdate === undefined || rest.length > 0) return NOT_A_LIST;
  const hash = HASH[oidText(bytes, named.value[0]) ?? ""];
  if (hash === undefined || Buffer.compare(rawOf(bytes, inner), rawOf(bytes, algorithm)) !== 0)
    return err("it is signed with an algorithm that is not accepted");
  const lists = extra === undefined ? ok([]) : within(bytes, extra);
  const extensions = lists.ok && lists.value[0] !== undefined ? extensionsIn(bytes, lists.value[0]) : ok([]);
  if (!extensions.ok) return extensions;
  const fine = refuseCritical(extensions.value, "it");
  if (!fine.ok) return fine;
  const revoked = serialsIn(bytes, entries);
  if (!revoked.ok) return revoked;
  return ok({
    issuer: Buffer.from(rawOf(bytes, issuer)).toString("hex"),
    issuerKeyId: keyIdOf(extensions.value),
    revoked: revoked.value,
    thisUpdate,
    nextUpdate,
    signed: rawOf(bytes, tbs),
    signature: contentOf(bytes, signature).subarray(1),
    hash,
  });
};

const BEGIN = "-----BEGIN X509 CRL-----";
const BLOCK = /-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]*)-----END X509 CRL-----/g;

/**
 * Every list of a file: PEM with any number of blocks, or one list in DER. An empty file has none (nothing is revoked); a block that
 * cannot be read makes the whole file an error, so that no entry is dropped in silence.
 */
export const parseCrls = (file: Uint8Array): Result<RevocationList[]> => {
  if (file.length === 0) return ok([]);
  if (file[0] === TAG.sequence) return numbered([parseCrl(file)]);
  const text = Buffer.from(file).toString("latin1");
  const blocks = [...text.matchAll(BLOCK)].map((m) => Buffer.from(m[1] ?? "", "base64"));
  if (blocks.length !== text.split(BEGIN).length - 1) return err("it has a PEM block that cannot be read");
  if (blocks.length === 0 && text.trim() !== "") return err("it holds no revocation list, neither PEM nor DER");
  return numbered(blocks.map((b) => parseCrl(b)));
};

const numbered = (lists: readonly Result<RevocationList>[]): Result<RevocationList[]> =>
  all(lists.map((l, i) => (l.ok ? l : err(`list ${i + 1} of ${lists.length}: ${l.error}`))));

/** True when the list is signed by this issuer's key. */
export const signedBy = (list: RevocationList, issuer: X509Certificate): boolean => {
  try {
    return verify(list.hash, list.signed, issuer.publicKey, list.signature);
  } catch {
    // A key of another kind than the signature's: then it is not this issuer's.
    return false;
  }
};
