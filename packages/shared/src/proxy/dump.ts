// How do a proxy's certificates look in /config_dump?

import type { CertState } from "../ca/types.ts";
import type { DumpCertificate, DumpPem } from "../state/config-dump.ts";
import { parseBundle } from "../tls/certificate.ts";

const dumpPems = (pems: readonly string[]): DumpPem[] =>
  pems.flatMap((pem) => {
    const parsed = parseBundle(pem);
    return (parsed.ok ? parsed.value : []).map((c) => ({
      pem: Buffer.from(c.pem).toString("base64"),
      serialNumber: BigInt(`0x${c.serial}`).toString(),
      validFrom: new Date(c.notBefore).toISOString(),
      expirationTime: new Date(c.notAfter).toISOString(),
    }));
  });

/** The certificates only, never the key. */
export const dumpCertificate = (c: CertState): DumpCertificate => ({
  identity: c.identity.uri,
  state: c.error === undefined ? c.state : `${c.state}: ${c.error}`,
  certChain: dumpPems(c.cert?.chainPem ?? []),
  rootCerts: dumpPems(c.cert?.rootsPem ?? []),
});
