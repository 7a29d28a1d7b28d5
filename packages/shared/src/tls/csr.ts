// How is a certificate asked for? (PKCS#10, ECDSA P-256, empty subject, critical URI SAN)

export type KeyAndCsr = { readonly keyPem: string; readonly csrPem: string };
export const createCsr = (_uri: string): KeyAndCsr => {
  throw new Error("not written yet");
};
