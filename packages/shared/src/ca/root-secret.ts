// Under which names do the mesh's own root and the wishes about it stand in its Secret? (Istio's where it has them)

export const ROOT_SECRET = "istio-ca-secret";

export const KEYS = {
  cert: "ca-cert.pem",
  key: "ca-key.pem",
  roots: "root-cert.pem",
  nextCert: "next-ca-cert.pem",
  nextKey: "next-ca-key.pem",
  oldCert: "old-ca-cert.pem",
  oldKey: "old-ca-key.pem",
  /** Serial numbers that are taken back: JSON, [{"serial": hex, "at": RFC 3339}]. */
  revoked: "revoked.json",
} as const;

export const ANNOTATION = {
  /** Any text that differs from the last one asks for a rotation. */
  asked: "ambit.dev/rotate-root",
  answered: "ambit.dev/rotated-root",
  introduce: "ambit.dev/rotate-root-introduce",
  retire: "ambit.dev/rotate-root-retire",
  phase: "ambit.dev/root-phase",
  until: "ambit.dev/root-phase-until",
} as const;
