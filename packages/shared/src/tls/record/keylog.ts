// Which secret does a line of the key log hold? (draft-ietf-tls-keylogfile; read from the octets, so that no string keeps a secret)

/** The application traffic secrets; all other lines are not ours. */
const LABELS = { client: Buffer.from("CLIENT_TRAFFIC_SECRET_0 "), server: Buffer.from("SERVER_TRAFFIC_SECRET_0 ") } as const;

export type TrafficSecret = { readonly side: "client" | "server"; readonly secret: Buffer };

const nibble = (c: number): number => {
  if (c >= 0x30 && c <= 0x39) return c - 0x30;
  if (c >= 0x61 && c <= 0x66) return c - 0x57;
  return c >= 0x41 && c <= 0x46 ? c - 0x37 : -1;
};

/** Octets of the hexadecimal text from `at` to a line's end; undefined when it is not such a text. */
const fromHex = (line: Buffer, at: number): Buffer | undefined => {
  let end = line.length;
  while (end > at && (line[end - 1] === 0x0a || line[end - 1] === 0x0d)) end -= 1;
  if (end === at || (end - at) % 2 !== 0) return undefined;
  const out = Buffer.alloc((end - at) / 2);
  for (let i = 0; i < out.length; i++) {
    const high = nibble(line[at + 2 * i] ?? 0);
    const low = nibble(line[at + 2 * i + 1] ?? 0);
    if (high < 0 || low < 0) return undefined;
    out[i] = (high << 4) | low;
  }
  return out;
};

/** A traffic secret, or undefined for any other line. */
export const parseKeylog = (line: Buffer): TrafficSecret | undefined => {
  for (const side of ["client", "server"] as const) {
    const label = LABELS[side];
    if (line.compare(label, 0, label.length, 0, Math.min(label.length, line.length)) !== 0) continue;
    const space = line.indexOf(0x20, label.length);
    const secret = space < 0 ? undefined : fromHex(line, space + 1);
    if (secret !== undefined) return { side, secret };
  }
  return undefined;
};
