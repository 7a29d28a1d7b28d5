// What text does a Huffman-coded string stand for? (RFC 7541 appendix B)

/**
 * Bits of the code of each octet, as runs "bits×count" in octet order; then EOS. The code is canonical (codes of one length follow
 * each other in octet order, shorter ones first), so that lengths say everything.
 */
const LENGTHS =
  "13 23 28×7 24 30 28×2 30 28×8 30 28×9 " +
  "6 10×2 12 13 6 8 11 10×2 8 11 8 6×3 5×3 6×7 7 8 15 6 12 10 13 6 7×22 8 7 8 13 19 13 14 6 " +
  "15 5 6 5 6 5 6×3 5 7×2 6×3 5 6 7 6 5×2 6 7×5 15 11 14 13 28 " +
  "20 22 20×2 22×3 23 22 23×5 24 23 24×2 22 23 24 23×4 21 22 23 22 23×2 24 " +
  "22 21 20 22×2 23×2 21 23 22×2 24 21 22 23×2 21×2 22 21 23 22 23×2 20 22×3 23 22×2 23 " +
  "26×2 20 19 22 23 22 25 26×3 27×2 26 24 25 19 21 26 27×2 26 27 24 21×2 26×2 28 27×3 " +
  "20 24 20 21 22 21×2 23 22×2 25×2 24×2 26 23 26 27 26×2 27×5 28 27×5 26 30";

const EOS = 256;

const lengths = LENGTHS.split(" ").flatMap((run) => {
  const [bits = "", count = "1"] = run.split("×");
  return Array.from({ length: Number(count) }, () => Number(bits));
});

/** The tree, two numbers a node: what 0 and 1 lead to. Not negative: a node; negative: the octet ~n. Node 0 is the root. */
const tree = ((): Int16Array => {
  const nodes: number[] = [0, 0];
  const insert = (code: number, bits: number, symbol: number): void => {
    let node = 0;
    for (let b = bits - 1; b > 0; b--) {
      const slot = node * 2 + ((code >>> b) & 1);
      const next = nodes[slot] ?? 0;
      if (next === 0) {
        nodes[slot] = nodes.length / 2;
        nodes.push(0, 0);
      }
      node = nodes[slot] ?? 0;
    }
    nodes[node * 2 + (code & 1)] = ~symbol;
  };
  const symbols = lengths.map((bits, symbol) => ({ bits, symbol })).sort((a, b) => a.bits - b.bits || a.symbol - b.symbol);
  let code = 0;
  let length = symbols[0]?.bits ?? 0;
  for (const { bits, symbol } of symbols) {
    code = code * 2 ** (bits - length);
    length = bits;
    insert(code, bits, symbol);
    code += 1;
  }
  return Int16Array.from(nodes);
})();

/** The octets, or undefined when the text holds EOS or is not filled up with fewer than eight ones. */
export const huffmanDecode = (coded: Uint8Array): Buffer | undefined => {
  // The shortest code has five bits.
  const out = Buffer.allocUnsafe(Math.ceil((coded.length * 8) / 5));
  let length = 0;
  let node = 0;
  let pending = 0;
  let ones = true;
  for (const byte of coded) {
    for (let b = 7; b >= 0; b--) {
      const bit = (byte >>> b) & 1;
      const next = tree[node * 2 + bit] ?? 0;
      pending += 1;
      ones = ones && bit === 1;
      if (next >= 0) {
        node = next;
        continue;
      }
      if (next === ~EOS) return undefined;
      out[length++] = ~next;
      node = 0;
      pending = 0;
      ones = true;
    }
  }
  return pending < 8 && ones ? out.subarray(0, length) : undefined;
};
