// How are DNS messages cut out of, and put into, a TCP stream? (RFC 1035 section 4.2.2: two bytes of length, then the message)

export type Frames = {
  /** The messages that are complete now, or "too-long" when one is announced that is longer than allowed. */
  push(chunk: Buffer): Buffer[] | "too-long";
};

/** One byte at a time must cost neither a copy of everything each time nor an object for each byte. */
const MAX_PARTS = 32;

/** A reader that holds no more than one unfinished message. */
export const createFrames = (longest: number): Frames => {
  let parts: Buffer[] = [];
  let held = 0;
  let needed = 2;
  return {
    push: (chunk) => {
      parts.push(chunk);
      held += chunk.length;
      if (held < needed && parts.length < MAX_PARTS) return [];
      let bytes = Buffer.concat(parts);
      const out: Buffer[] = [];
      needed = 2;
      while (bytes.length >= 2) {
        const length = bytes.readUInt16BE(0);
        if (length > longest) return "too-long";
        needed = 2 + length;
        if (bytes.length < needed) break;
        out.push(bytes.subarray(2, needed));
        bytes = bytes.subarray(needed);
        needed = 2;
      }
      parts = bytes.length === 0 ? [] : [bytes];
      held = bytes.length;
      return out;
    },
  };
};

export const frame = (message: Buffer): Buffer => {
  const out = Buffer.allocUnsafe(2 + message.length);
  out.writeUInt16BE(message.length);
  message.copy(out, 2);
  return out;
};
