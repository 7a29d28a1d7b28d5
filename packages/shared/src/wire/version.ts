// What is the version of a resource? (hex xxhash64 of its bytes, as istiod has it)

import xxhash from "xxhash-wasm";

const { h64Raw } = await xxhash();

/** Equal bytes have equal versions: 16 hex digits. */
export const contentVersion = (bytes: Uint8Array): string => h64Raw(bytes).toString(16).padStart(16, "0");
