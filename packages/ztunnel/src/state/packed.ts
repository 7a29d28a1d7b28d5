// How do many byte strings travel between threads as one? (each is preceded by its length in four bytes, little-endian)

export const pack = (parts: readonly Uint8Array[]): Uint8Array => {
  const packed = new Uint8Array(parts.reduce((sum, p) => sum + 4 + p.length, 0));
  const view = new DataView(packed.buffer);
  let at = 0;
  for (const part of parts) {
    view.setUint32(at, part.length, true);
    packed.set(part, at + 4);
    at += 4 + part.length;
  }
  return packed;
};

/** The parts as views on the packed bytes. Throws when they are not what `pack` made. */
export const unpack = (packed: Uint8Array): Uint8Array[] => {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < packed.length; ) {
    const length = view.getUint32(at, true);
    const end = at + 4 + length;
    if (end > packed.length) throw new RangeError(`a part of ${length} bytes does not fit into what is left`);
    parts.push(packed.subarray(at + 4, end));
    at = end;
  }
  return parts;
};
