// What is the version of a resource? (hex xxhash64 of its bytes, as istiod has it)

export const contentVersion = (_bytes: Uint8Array): string => {
  throw new Error("not written yet");
};
