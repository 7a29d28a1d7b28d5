// How is one record encrypted, or decrypted and proved? (RFC 8446 sections 5.2 and 5.3)

import type { Address, Evp } from "./evp.ts";
import { HEADER, RECORDS_PER_KEY } from "./limits.ts";
import { IV_LENGTH, nextSecret, type Suite, trafficKeys } from "./schedule.ts";

const UINT32 = 2 ** 32;

/** Memory for keys and nonces; used within one call only, so one a thread is enough. */
type Scratch = { readonly bytes: Buffer; readonly address: Address };
const scratches = new WeakMap<Evp, Scratch>();
const scratchOf = (evp: Evp): Scratch => {
  const held = scratches.get(evp);
  if (held !== undefined) return held;
  const bytes = Buffer.allocUnsafeSlow(4096);
  const scratch = { bytes, address: evp.addressOf(bytes) };
  scratches.set(evp, scratch);
  return scratch;
};

/** One direction: a secret, the key made from it in OpenSSL's memory, and the number of the next record. */
export class Protection {
  readonly #evp: Evp;
  readonly #suite: Suite;
  readonly #encrypt: boolean;
  readonly #scratch: Scratch;
  readonly #iv = Buffer.alloc(IV_LENGTH);
  #secret: Buffer;
  #context: Address = 0;
  #sequence: number;
  readonly #wornAfter: number;
  /** Records under the present key. */
  #used = 0;

  /** Takes the secret over and zeroes it at the end. Throws when OpenSSL has no context for us. */
  constructor(
    evp: Evp,
    suite: Suite,
    from: { readonly secret: Buffer; readonly sequence: number; readonly encrypt: boolean; readonly wornAfter?: number },
  ) {
    this.#evp = evp;
    this.#suite = suite;
    this.#encrypt = from.encrypt;
    this.#scratch = scratchOf(evp);
    this.#secret = from.secret;
    this.#sequence = from.sequence;
    this.#wornAfter = from.wornAfter ?? RECORDS_PER_KEY;
    this.#install();
  }

  #install(): void {
    const { key, iv } = trafficKeys(this.#suite, this.#secret);
    const { bytes, address } = this.#scratch;
    key.copy(bytes);
    const context = this.#evp.open(this.#suite, address, this.#encrypt);
    bytes.fill(0, 0, key.length);
    key.fill(0);
    iv.copy(this.#iv);
    iv.fill(0);
    this.free();
    if (context === 0) throw new Error("OpenSSL gave no cipher context");
    this.#context = context;
  }

  get sequence(): number {
    return this.#sequence;
  }

  /** The key has done its work (section 5.5). */
  get worn(): boolean {
    return this.#used >= this.#wornAfter;
  }

  /** Goes on under the next key; its records are counted from 0. */
  rekey(): void {
    const next = nextSecret(this.#suite, this.#secret);
    this.#secret.fill(0);
    this.#secret = next;
    this.#install();
    this.#sequence = 0;
    this.#used = 0;
  }

  /** Begins the next record, whose header lies at `header`. */
  begin(header: Address): boolean {
    const context = this.#context;
    if (context === 0) throw new Error("a record was begun on a connection that is over");
    if (this.#sequence >= Number.MAX_SAFE_INTEGER) throw new Error("the record numbers are used up");
    const { bytes, address } = this.#scratch;
    const iv = this.#iv;
    let low = this.#sequence % UINT32;
    let high = (this.#sequence - low) / UINT32;
    for (let i = 0; i < 4; i++) bytes[i] = iv[i] ?? 0;
    for (let i = 11; i > 7; i--) {
      bytes[i] = (iv[i] ?? 0) ^ (low & 0xff);
      low >>>= 8;
    }
    for (let i = 7; i > 3; i--) {
      bytes[i] = (iv[i] ?? 0) ^ (high & 0xff);
      high >>>= 8;
    }
    this.#sequence += 1;
    this.#used += 1;
    return this.#evp.setIv(context, address) === 1 && this.#evp.update(context, 0, header, HEADER) === 1;
  }

  crypt(to: Address, from: Address, n: number): boolean {
    return this.#evp.update(this.#context, to, from, n) === 1;
  }

  cryptFrom(to: Address, from: Uint8Array): boolean {
    return this.#evp.updateFrom(this.#context, to, from, from.length) === 1;
  }

  /** Writes the tag. */
  seal(tag: Address): boolean {
    return this.#evp.final(this.#context, tag) === 1 && this.#evp.getTag(this.#context, tag) === 1;
  }

  /** Decrypts n octets and says whether they, and the header given to begin(), are what the peer sent. Until then they are nothing. */
  prove(to: Address, from: Address, n: number): boolean {
    const { address } = this.#scratch;
    return (
      this.#evp.setTag(this.#context, from + n) === 1 &&
      (n === 0 || this.#evp.update(this.#context, to, from, n) === 1) &&
      this.#evp.final(this.#context, address + 64) === 1
    );
  }

  free(): void {
    const context = this.#context;
    this.#context = 0;
    if (context !== 0) this.#evp.free(context);
  }

  /** Frees the context and zeroes the secrets. */
  end(): void {
    this.free();
    this.#secret.fill(0);
    this.#iv.fill(0);
  }
}
