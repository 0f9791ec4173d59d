/**
 * XXH32 with seed 0 (Y. Collet, github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md): tells damage, not forgery. What
 * changes within four bytes always changes it. Node's hashes are stronger, but loading them takes longer than a start has.
 */
export function xxh32(data: Uint8Array): number {
  const bytes = data.byteOffset % 4 === 0 ? data : Uint8Array.from(data);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  let at = 0;
  let hash = P5;
  if (bytes.length >= STRIPE) {
    let [a, b, c, d] = [(P1 + P2) | 0, P2, 0, -P1 | 0];
    for (; 4 * at + STRIPE <= bytes.length; at += 4) {
      a = lane(a, words[at]);
      b = lane(b, words[at + 1]);
      c = lane(c, words[at + 2]);
      d = lane(d, words[at + 3]);
    }
    hash = rotated(a, 1) + rotated(b, 7) + rotated(c, 12) + rotated(d, 18);
  }
  hash = (hash + bytes.length) | 0;
  for (; at < words.length; at++) hash = Math.imul(rotated(hash + Math.imul(words[at], P3), 17), P4);
  for (let i = 4 * at; i < bytes.length; i++) hash = Math.imul(rotated(hash + Math.imul(bytes[i], P5), 11), P1);
  return avalanche(hash) >>> 0;
}

const STRIPE = 16;
const P1 = 0x9e3779b1 | 0;
const P2 = 0x85ebca77 | 0;
const P3 = 0xc2b2ae3d | 0;
const P4 = 0x27d4eb2f;
const P5 = 0x165667b1;

function lane(sum: number, word: number): number {
  return Math.imul(rotated(sum + Math.imul(word, P2), 13), P1);
}

function rotated(x: number, by: number): number {
  return (x << by) | (x >>> (32 - by));
}

function avalanche(hash: number): number {
  const first = Math.imul(hash ^ (hash >>> 15), P2);
  const second = Math.imul(first ^ (first >>> 13), P3);
  return second ^ (second >>> 16);
}
