// How does OpenSSL's AEAD reach our own buffers? (EVP of the node binary, through FFI: nothing is copied on the way)

import { createCipheriv } from "node:crypto";
import koffi from "koffi";
import { SUITES, type Suite } from "./schedule.ts";

/** An address as a number: user space ends at 2^47. */
export type Address = number;

/** One direction's cipher with its key set. Every call gives 1 when it went well, as OpenSSL does. */
export type Evp = {
  /** Memory that the calls write to; here, so that it lives as long as they. */
  readonly given: Buffer;
  /** The bytes' first address; they must be off the JavaScript heap (allocUnsafeSlow) and be kept alive by the caller. */
  addressOf(bytes: Uint8Array): Address;
  /** A context with the key set; 0 when there is none to be had. */
  open(suite: Suite, key: Address, encrypt: boolean): Address;
  free(context: Address): void;
  /** Begins a record. */
  setIv(context: Address, iv: Address): number;
  update(context: Address, to: Address, from: Address, n: number): number;
  updateFrom(context: Address, to: Address, from: Uint8Array, n: number): number;
  final(context: Address, to: Address): number;
  getTag(context: Address, tag: Address): number;
  setTag(context: Address, tag: Address): number;
};

const GET_TAG = 0x10;
const SET_TAG = 0x11;
export const TAG = 16;

const bind = (): Evp => {
  const lib = koffi.load(null);
  const pointer = "uint64_t";
  const newContext = lib.func("EVP_CIPHER_CTX_new", pointer, []);
  const freeContext = lib.func("EVP_CIPHER_CTX_free", "void", [pointer]);
  const init = lib.func("EVP_CipherInit_ex", "int", [pointer, pointer, pointer, pointer, pointer, "int"]);
  const update = lib.func("EVP_CipherUpdate", "int", [pointer, pointer, pointer, pointer, "int"]);
  const updateFrom = lib.func("EVP_CipherUpdate", "int", [pointer, pointer, pointer, "const uint8_t *", "int"]);
  const final = lib.func("EVP_CipherFinal_ex", "int", [pointer, pointer, pointer]);
  const ctrl = lib.func("EVP_CIPHER_CTX_ctrl", "int", [pointer, "int", "int", pointer]);
  const ciphers = {
    EVP_aes_128_gcm: Number(lib.func("EVP_aes_128_gcm", pointer, [])()),
    EVP_aes_256_gcm: Number(lib.func("EVP_aes_256_gcm", pointer, [])()),
  };
  const addressOf = (bytes: Uint8Array): Address => Number(koffi.address(bytes));
  // Where OpenSSL writes how much it gave; nobody asks, the lengths are known.
  const given = Buffer.allocUnsafeSlow(4096);
  const length = addressOf(given);
  return {
    given,
    addressOf,
    open(suite, key, encrypt) {
      const context = Number(newContext());
      if (context === 0) return 0;
      if (init(context, ciphers[suite.cipher], 0, key, 0, encrypt ? 1 : 0) === 1) return context;
      freeContext(context);
      return 0;
    },
    free: (context) => void freeContext(context),
    setIv: (context, iv) => init(context, 0, 0, 0, iv, -1),
    update: (context, to, from, n) => update(context, to, length, from, n),
    updateFrom: (context, to, from, n) => updateFrom(context, to, length, from, n),
    final: (context, to) => final(context, to, length),
    getTag: (context, tag) => ctrl(context, GET_TAG, TAG, tag),
    setTag: (context, tag) => ctrl(context, SET_TAG, TAG, tag),
  };
};

/** Whether it encrypts as node:crypto does: what is found by name might be something else. */
const agrees = (evp: Evp, suite: Suite): boolean => {
  const memory = Buffer.allocUnsafeSlow(4096);
  const at = evp.addressOf(memory);
  const text = Buffer.from("the same octets, encrypted twice");
  for (let i = 0; i < 64; i++) memory[i] = 7 * i;
  text.copy(memory, 64);
  const [key, iv, header] = [memory.subarray(0, suite.keyLength), memory.subarray(32, 44), memory.subarray(48, 53)];
  const cipher = createCipheriv(suite.keyLength === 16 ? "aes-128-gcm" : "aes-256-gcm", key, iv).setAAD(header);
  const expected = Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
  const context = evp.open(suite, at, true);
  if (context === 0) return false;
  const n = text.length;
  const done =
    evp.setIv(context, at + 32) === 1 &&
    evp.update(context, 0, at + 48, 5) === 1 &&
    evp.update(context, at + 64, at + 64, n) === 1 &&
    evp.final(context, at + 64 + n) === 1 &&
    evp.getTag(context, at + 64 + n) === 1;
  evp.free(context);
  return done && memory.subarray(64, 64 + n + TAG).equals(expected);
};

let found: { readonly evp: Evp } | { readonly error: Error } | undefined;

/** OpenSSL's EVP, or why this node binary does not give it. Looked for once a thread. */
export const findEvp = (): { readonly evp: Evp } | { readonly error: Error } => {
  if (found !== undefined) return found;
  try {
    const evp = bind();
    const wrong = SUITES.find((suite) => !agrees(evp, suite));
    found = wrong === undefined ? { evp } : { error: new Error(`OpenSSL's EVP does not give ${wrong.name} as node:crypto does`) };
  } catch (e) {
    found = { error: e instanceof Error ? e : new Error(String(e)) };
  }
  return found;
};
