// Is a file of revocation lists good enough to replace the one in force?

import type { X509Certificate } from "node:crypto";
import { err, mapOk, type Result } from "../runtime/result.ts";
import { parseCrls, type RevocationList, signedBy } from "../tls/crl.ts";
import { keyIdOfSubject, namesOf } from "../tls/revocation.ts";

export type ReadLists = {
  readonly lists: readonly RevocationList[];
  /** Sentences about lists that hold although something is odd about them. */
  readonly remarks: readonly string[];
};

const nameOf = (ca: X509Certificate): string | undefined => {
  const names = namesOf(ca.raw);
  return names.ok ? names.value.subject : undefined;
};

const claims = (list: RevocationList, ca: X509Certificate): boolean =>
  list.issuer === nameOf(ca) && (list.issuerKeyId === undefined || list.issuerKeyId === keyIdOfSubject(ca));

/**
 * The lists of the file. One that claims to be of a CA that we know, by name and key, and is not signed by it was tampered with or damaged:
 * then the whole file is an error. A CA that we do not know is checked when a peer shows it.
 */
export const readRevocationLists = (file: Uint8Array, known: readonly X509Certificate[], now: number): Result<ReadLists> => {
  const parsed = parseCrls(file);
  if (!parsed.ok) return parsed;
  for (const [i, list] of parsed.value.entries()) {
    const claimed = known.filter((ca) => claims(list, ca));
    if (claimed.length > 0 && list.issuerKeyId !== undefined && !claimed.some((ca) => signedBy(list, ca)))
      return err(`list ${i + 1} of ${parsed.value.length} is not signed by the CA that it names`);
  }
  return mapOk(parsed, (lists) => ({
    lists,
    remarks: lists.flatMap((l, i) => {
      const which = `list ${i + 1} of ${lists.length}`;
      if (l.thisUpdate > now)
        return [`${which} is dated in our future (${new Date(l.thisUpdate).toISOString()}): is this machine's clock behind?`];
      if (l.nextUpdate !== undefined && l.nextUpdate <= now)
        return [`${which} should have been replaced by ${new Date(l.nextUpdate).toISOString()}: it is used on`];
      return [];
    }),
  }));
};
